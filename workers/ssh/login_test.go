package ssh

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A key that an agent has opens the host, though no file that amlflow reads has one.
func TestAgents(t *testing.T) {
	for _, name := range []string{"ssh-agent", "ssh-add"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIP: there is no %s: apt-get install -y openssh-client", name)
		}
	}
	r := startServer(t)
	dir, err := os.MkdirTemp("", "agent") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	t.Setenv("HOME", t.TempDir())
	t.Setenv("SSH_AUTH_SOCK", socket)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the agent does not listen")
		}
	}
	there := r.target(t, t.TempDir(), map[string]any{"identity_file": nil})
	if err := driver(t).Check(t.Context(), there); err == nil || !strings.Contains(err.Error(), "there is nothing to log in with") && !strings.Contains(err.Error(), "0 keys of the agent") {
		t.Errorf("with an agent that has no keys: %v", err)
	}
	r.makeKey(t, "locked", "sesame")
	r.write(t, "authorized_keys", r.read(t, "locked.pub"))
	if err := driver(t).Check(t.Context(), r.target(t, t.TempDir(), map[string]any{"identity_file": r.path("locked")})); err == nil || !strings.Contains(err.Error(), "or use an agent") {
		t.Errorf("with a locked key: %v", err)
	}
	// ssh-add asks a program for the passphrase where there is no terminal.
	r.write(t, "asked", "#!/bin/sh\necho sesame\n")
	if err := os.Chmod(r.path("asked"), 0o700); err != nil {
		t.Fatal(err)
	}
	add := exec.Command("ssh-add", r.path("locked"))
	add.Env = append(os.Environ(), "SSH_ASKPASS="+r.path("asked"), "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none")
	if said, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if err := driver(t).Check(t.Context(), there); err != nil {
		t.Errorf("with the agent: %v", err)
	}
}

// A password opens the host, from a file or a variable, and a wrong one is told as such.
func TestPasswords(t *testing.T) {
	if os.Getuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		t.Skip("SKIP: the server is to see other passwords than those of this machine, which needs root and mount namespaces")
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIP: there is no openssl: apt-get install -y openssl")
	}
	r := startServerAs(t, func(r *rig) []string {
		hash, err := exec.Command("openssl", "passwd", "-6", "sesame").Output()
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, "shadow", "root:"+string(bytes.TrimSpace(hash))+":19000:0:99999:7:::\n")
		return []string{"unshare", "-m", "sh", "-c", `mount --bind '` + r.path("shadow") + `' /etc/shadow && exec "$@"`, "sh"}
	}, "PasswordAuthentication yes", "PubkeyAuthentication no")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("WORD", "sesame")
	r.write(t, "word", "sesame\n")
	r.write(t, "wrong", "open\n")
	for name, q := range map[string]struct {
		password map[string]any
		words    string
	}{
		"file":     {password: map[string]any{"file": r.path("word")}},
		"variable": {password: map[string]any{"env": "WORD"}},
		"wrong":    {password: map[string]any{"file": r.path("wrong")}, words: "tried were a password"},
		"missing":  {password: map[string]any{"env": "NO_SUCH_WORD"}, words: `in the variable "NO_SUCH_WORD"`},
	} {
		err := driver(t).Check(t.Context(), r.target(t, t.TempDir(), map[string]any{"identity_file": nil, "password": q.password}))
		switch {
		case q.words == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case q.words != "" && (err == nil || !strings.Contains(err.Error(), q.words) || strings.Contains(err.Error(), "sesame")):
			t.Errorf("%s: got %v", name, err)
		}
	}
}
