package slurm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// startLogin starts an SSH server on this computer as a login node, whose users have no
// SLURM_CONF, and returns the settings that reach it; or skips the test.
func startLogin(t *testing.T) map[string]any {
	t.Helper()
	sshd := program("sshd")
	if sshd == "" || program("ssh-keygen") == "" {
		t.Skip("SKIP: there is no SSH server to log in to: apt-get install -y openssh-server")
	}
	if os.Getuid() == 0 { // where it leaves its rights
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"host", "id"} {
		if said, err := exec.Command(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", at(name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	mine, err := os.ReadFile(at("id.pub"))
	theirs, unread := os.ReadFile(at("host.pub"))
	config := strings.Join([]string{
		"Port " + port, "ListenAddress 127.0.0.1", "HostKey " + at("host"), "PidFile none", "AuthorizedKeysFile " + at("authorized_keys"),
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100",
	}, "\n") + "\n"
	if err := errors.Join(err, unread, os.WriteFile(at("authorized_keys"), mine, 0o600), os.WriteFile(at("config"), []byte(config), 0o600),
		os.WriteFile(at("known_hosts"), fmt.Appendf(nil, "[127.0.0.1]:%s %s", port, theirs), 0o600)); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(sshd, "-D", "-e", "-f", at("config"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	address := net.JoinHostPort("127.0.0.1", port)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("the SSH server does not listen")
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"host": address, "user": me.Username, "identity_file": at("id"), "known_hosts": at("known_hosts")}
}

// Through a login node it is the same.
func TestViaALoginNode(t *testing.T) {
	t.Parallel()
	via := startLogin(t)
	r := startSlurm(t, rigOptions{nodes: 1})
	w := r.ward(t, map[string]any{"via": via})
	if err := w.Check(t.Context(), w.t); err != nil {
		t.Fatal(err)
	}
	j := job("far", `echo "$TOKEN" | tr a-z A-Z; exit 4`)
	j.Secrets = map[string]string{"TOKEN": "hidden"}
	w.submit(t, j)
	w.submit(t, j)
	if st := w.ends(t, "far"); st.Exit != 4 || w.log(t, "far") != "HIDDEN\n" {
		t.Errorf("got %+v, log %q", st, w.log(t, "far"))
	}
	w.submit(t, job("stop", long))
	w.runs(t, "stop")
	if err := w.Cancel(t.Context(), w.t, "stop", target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	if st := w.ends(t, "stop"); st.State != target.Cancelled {
		t.Errorf("got %+v", st)
	}
}
