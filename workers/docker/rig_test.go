package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/client"
)

// install is what a machine needs to run these tests.
const install = "apt-get install -y --no-install-recommends podman runc catatonit busybox-static"

// examImage has a shell and the usual tools, and sets no variables. It is a busybox, or
// what AMLFLOW_TEST_ROOTFS names: an archive of a root file system, such as one that was
// made by `debootstrap --variant=minbase --include=python3 bookworm DIR`.
const examImage = "localhost/amlflow-exam:1"

// rig is a container engine for tests.
type rig struct {
	host string // what a target says
	root string // where it keeps everything, when this machine can look there
}

// engineOf connects to the engine of the rig.
func (r rig) engineOf(t *testing.T) *engine {
	t.Helper()
	e, err := open(address{Host: r.host})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// target returns a target on the rig, with more settings.
func (r rig) target(t *testing.T, more map[string]any) target.Target {
	t.Helper()
	s := map[string]any{"host": r.host, "image": examImage, "pull": "never", "network": "none", "shm": "8Mi"}
	for k, v := range more {
		s[k] = v
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return target.Target{Name: "box", Kind: "docker", Settings: text}
}

// podman is a Podman of our own, started by the first test that wants one. Nothing of
// the machine's own containers and images is touched.
var podman = struct {
	sync.Once
	rig
	dir  string
	skip string
	cmd  *exec.Cmd
}{}

func TestMain(m *testing.M) {
	if dir := os.Getenv(gatewayDir); dir != "" {
		os.Exit(beGateway(dir))
	}
	if text := os.Getenv(errandVariable); text != "" {
		os.Exit(runErrand(text))
	}
	code := m.Run()
	endPodman()
	os.Exit(code)
}

// onPodman lends the Podman of these tests, or skips.
func onPodman(t *testing.T) rig {
	t.Helper()
	podman.Do(startPodman)
	if podman.skip != "" {
		t.Skipf("SKIP: %s", podman.skip)
	}
	return podman.rig
}

// onDocker lends the Docker that the developer names, or skips.
func onDocker(t *testing.T) rig {
	t.Helper()
	host := os.Getenv("AMLFLOW_TEST_DOCKER_HOST")
	if host == "" {
		t.Skip("SKIP: there is no Docker: set AMLFLOW_TEST_DOCKER_HOST to the address of one that may be used for tests, such as unix:///var/run/docker.sock (apt-get install -y docker.io)")
	}
	if err := giveImage(host); err != nil {
		t.Fatal(err)
	}
	return rig{host: host}
}

func startPodman() {
	for _, program := range []string{"podman", "runc", "catatonit", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			podman.skip = fmt.Sprintf("there is no %s: %s", program, install)
			return
		}
	}
	if os.Getuid() != 0 {
		podman.skip = "a Podman of our own is started as root only"
		return
	}
	dir, err := os.MkdirTemp("", "amlflow-podman")
	if err != nil {
		podman.skip = err.Error()
		return
	}
	podman.dir = dir
	if err := servePodman(dir); err != nil {
		podman.skip = "Podman cannot be run here: " + err.Error()
		return
	}
	podman.rig = rig{host: "unix://" + filepath.Join(dir, "sock"), root: filepath.Join(dir, "root")}
	if err := giveImage(podman.host); err != nil {
		podman.skip = "Podman runs no containers here: " + err.Error()
	}
}

// servePodman starts the service. The limits are such that it also works inside of a
// sandbox.
func servePodman(dir string) error {
	conf := filepath.Join(dir, "containers.conf")
	text := "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n[engine]\nevents_logger = \"file\"\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	c := exec.Command("podman", "--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp"), "system", "service", "--time=0", "unix://"+at("sock"))
	c.Env = append(os.Environ(), "CONTAINERS_CONF="+conf)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		return err
	}
	podman.cmd = c
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(at("sock")); err == nil {
			return nil
		}
	}
	return fmt.Errorf("its service does not answer: %s", said.String())
}

// giveImage makes the image of the exam, and proves that the engine can run it.
func giveImage(host string) error {
	e, err := open(address{Host: host})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fill := busybox
	if rootfs := os.Getenv("AMLFLOW_TEST_ROOTFS"); rootfs != "" {
		fill = func(w *tar.Writer) error { return copyArchive(w, rootfs) }
	}
	if err := e.importImage(ctx, examImage, fill); err != nil {
		return err
	}
	c, err := e.ContainerCreate(ctx, client.ContainerCreateOptions{Config: containerOf(examImage, "true")})
	if err != nil {
		return err
	}
	defer e.discard(c.ID)
	_, err = e.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
	return err
}

var imageID = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// importImage makes an image of the files that fill writes.
func (e *engine) importImage(ctx context.Context, name string, fill func(*tar.Writer) error, changes ...string) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	r, err := e.ImageImport(ctx, client.ImageImportSource{Source: &b, SourceName: "-"}, "", client.ImageImportOptions{Changes: changes})
	if err != nil {
		return err
	}
	defer r.Close()
	said, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, err = e.ImageTag(ctx, client.ImageTagOptions{Source: imageID.FindString(string(said)), Target: name})
	return err
}

// busybox writes a static busybox, a link to it for each of its tools, and a user.
func busybox(w *tar.Writer) error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		return err
	}
	for _, dir := range []string{"/", "/bin", "/etc"} {
		if err := addDir(w, dir, 0o755); err != nil {
			return err
		}
	}
	if err := addFile(w, "/bin/busybox", 0o755, program); err != nil {
		return err
	}
	for _, tool := range strings.Fields(string(list)) {
		if tool == "busybox" {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin/" + tool, Linkname: "busybox", Mode: 0o777}); err != nil {
			return err
		}
	}
	return addFile(w, "/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"))
}

// copyArchive writes the entries of the archive at path.
func copyArchive(w *tar.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

// endPodman ends the service and removes all that it kept.
func endPodman() {
	if podman.dir == "" {
		return
	}
	if podman.cmd != nil {
		_ = podman.cmd.Process.Signal(syscall.SIGTERM)
		_ = podman.cmd.Wait()
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], podman.dir+"/") {
			_ = exec.Command("umount", "--lazy", f[1]).Run()
		}
	}
	os.RemoveAll(podman.dir)
}
