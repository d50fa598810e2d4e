package rigs

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Engine is a container engine of its own. Nothing of the machine's own containers and
// images is touched.
type Engine struct {
	Host string // what a target says
	Root string // where it keeps everything
	dir  string
	argv []string
	env  []string
	cmd  *exec.Cmd
	// registry is a port at which images may be served to it without TLS.
	registry string
}

// Listen is where a registry is to listen that the engine pulls from. One can do so at a
// time.
func (e *Engine) Listen() (net.Listener, error) { return net.Listen("tcp", e.registry) }

// Podman starts a Podman that answers as Docker does.
func Podman() (*Engine, error) {
	if err := need("apt-get install -y --no-install-recommends podman runc catatonit busybox-static", "podman", "runc", "catatonit", "busybox"); err != nil {
		return nil, err
	}
	return start("podman", func(e *Engine, at func(string) string) error {
		// The limits are such that it also works inside of a sandbox.
		conf := "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n[engine]\nevents_logger = \"file\"\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\n"
		e.argv = []string{"podman", "--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp"), "system", "service", "--time=0", e.Host}
		e.env = []string{"CONTAINERS_CONF=" + at("containers.conf"), "CONTAINERS_REGISTRIES_CONF=" + at("registries.conf")}
		plain := fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", e.registry)
		if err := os.WriteFile(at("registries.conf"), []byte(plain), 0o600); err != nil {
			return err
		}
		return os.WriteFile(at("containers.conf"), []byte(conf), 0o600)
	})
}

// Docker starts a Docker. It makes no networks, so that jobs have none but their own, and
// that of the machine.
func Docker() (*Engine, error) {
	if err := need("apt-get install -y --no-install-recommends docker.io busybox-static", "dockerd", "containerd", "runc", "docker-init", "busybox"); err != nil {
		return nil, err
	}
	return start("docker", func(e *Engine, at func(string) string) error {
		e.argv = []string{Program("dockerd"), "--data-root", at("root"), "--exec-root", at("run"), "--pidfile", at("pid"), "--host", e.Host, "--config-file", at("daemon.json"), "--bridge=none", "--iptables=false", "--ip6tables=false"}
		return os.WriteFile(at("daemon.json"), []byte("{}"), 0o600)
	})
}

func start(kind string, prepare func(e *Engine, at func(string) string) error) (*Engine, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: a container engine of our own is started as root only", ErrMissing)
	}
	dir, err := os.MkdirTemp("", "amlflow-"+kind)
	if err != nil {
		return nil, err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	e := &Engine{Host: "unix://" + at("sock"), Root: at("root"), dir: dir}
	ports, err := FreePorts(1)
	if err == nil {
		e.registry = "127.0.0.1:" + ports[0]
		err = prepare(e, at)
	}
	if err == nil {
		err = e.Serve()
	}
	if err != nil {
		e.End()
		return nil, fmt.Errorf("%w: %s cannot be run here: %w", ErrMissing, kind, err)
	}
	return e, nil
}

// Serve starts the service, and waits until it answers.
func (e *Engine) Serve() error {
	if err := os.RemoveAll(filepath.Join(e.dir, "sock")); err != nil {
		return err
	}
	c := exec.Command(e.argv[0], e.argv[1:]...)
	c.Env = append(os.Environ(), e.env...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return err
	}
	e.cmd = c
	if Awaits(func() bool { return e.answers() }) {
		return nil
	}
	e.Kill()
	return fmt.Errorf("%s does not answer: %.2000s", e.argv[0], said.String())
}

func (e *Engine) answers() bool {
	r, err := e.client().Get("http://engine/_ping")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// client talks to the engine.
func (e *Engine) client() *http.Client {
	sock := strings.TrimPrefix(e.Host, "unix://")
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", sock)
	}}}
}

// Kill ends the service without a word.
func (e *Engine) Kill() {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill()
		_ = e.cmd.Wait()
		e.cmd = nil
	}
}

// End ends the service and removes all that it kept.
func (e *Engine) End() {
	if e.cmd != nil {
		end(e.cmd)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], e.dir+"/") {
			_ = exec.Command("umount", "--lazy", f[1]).Run()
		}
	}
	os.RemoveAll(e.dir)
}
