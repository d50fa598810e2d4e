package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const sshdPath = "/usr/sbin/sshd"

func withSSHD() bool {
	_, err := os.Stat(sshdPath)
	return err == nil
}

// withPodman reports whether a Podman of our own can be started, as root only, and has a
// shell and a Python to lend to containers.
func withPodman() bool {
	for _, program := range []string{"podman", "runc", "busybox", "/usr/bin/python3"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return os.Getuid() == 0
}

// startSSHD starts a real SSH server: sshd. Then $SSHD is where it listens, $SSHD_USER who
// may log in, with the key in the file $SSHD_KEY, and $SSHD_KNOWN the file with its own.
func startSSHD(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: sshd")
	}
	me, err := user.Current()
	ts.Check(err)
	if me.Uid == "0" { // where it leaves its rights
		ts.Check(os.MkdirAll("/run/sshd", 0o755))
	}
	dir := ts.MkAbs(".sshd")
	ts.Check(os.MkdirAll(dir, 0o700))
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"host", "id"} {
		ts.Check(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at(name)).Run())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().(*net.TCPAddr)
	ts.Check(l.Close())
	ts.Check(os.WriteFile(at("config"), []byte(strings.Join([]string{
		"Port " + strconv.Itoa(address.Port), "ListenAddress 127.0.0.1", "HostKey " + at("host"), "PidFile none",
		"AuthorizedKeysFile " + at("id.pub"), "StrictModes no", "UsePAM no", "PasswordAuthentication no",
		"KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100", "",
	}, "\n")), 0o600))
	key, err := os.ReadFile(at("host.pub"))
	ts.Check(err)
	ts.Check(os.WriteFile(at("known_hosts"), fmt.Appendf(nil, "[127.0.0.1]:%d %s", address.Port, key), 0o600))
	c := exec.Command(sshdPath, "-D", "-f", at("config"))
	ts.Check(c.Start())
	ts.Defer(func() { _ = c.Process.Kill(); _ = c.Wait() })
	waitFor(ts, "the SSH server", func() bool {
		conn, err := net.Dial("tcp", address.String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	for name, value := range map[string]string{"SSHD": address.String(), "SSHD_USER": me.Username, "SSHD_KEY": at("id"), "SSHD_KNOWN": at("known_hosts")} {
		ts.Setenv(name, value)
	}
}

// startPodman starts a Podman of its own: podman. Then $PODMAN is its address, and it has
// the image localhost/lent:1 with a shell alone, to which a target lends /usr of this
// machine.
func startPodman(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: podman")
	}
	dir, err := os.MkdirTemp("", "amlflow-podman") // a socket's path is short
	ts.Check(err)
	at := func(name string) string { return filepath.Join(dir, name) }
	ts.Defer(func() { removeMounts(dir) })
	conf := "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n[engine]\nevents_logger = \"file\"\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\n"
	ts.Check(os.WriteFile(at("containers.conf"), []byte(conf), 0o600))
	podman := func(args ...string) *exec.Cmd {
		c := exec.Command("podman", append([]string{"--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp")}, args...)...)
		c.Env = append(os.Environ(), "CONTAINERS_CONF="+at("containers.conf"))
		return c
	}
	script := fmt.Sprintf("mkdir -p %[1]s/fs/bin && cd %[1]s/fs && cp \"$(command -v busybox)\" bin/ && ln -s busybox bin/sh && ln -s usr/lib lib && ln -s usr/lib64 lib64 && tar -cf ../fs.tar .", dir)
	said, err := exec.Command("sh", "-c", script).CombinedOutput()
	ts.Logf("%s", said)
	ts.Check(err)
	said, err = podman("import", at("fs.tar"), "localhost/lent:1").CombinedOutput()
	ts.Logf("%s", said)
	ts.Check(err)
	c := podman("system", "service", "--time=0", "unix://"+at("sock"))
	ts.Check(c.Start())
	ts.Defer(func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() })
	waitFor(ts, "Podman", func() bool { _, err := os.Stat(at("sock")); return err == nil })
	ts.Setenv("PODMAN", "unix://"+at("sock"))
}

// removeMounts removes a folder in which something may still be mounted.
func removeMounts(dir string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			_ = syscall.Unmount(f[1], 2) // MNT_DETACH
		}
	}
	_ = os.RemoveAll(dir)
}

func waitFor(ts *testscript.TestScript, what string, done func() bool) {
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s does not answer", what)
		}
	}
}
