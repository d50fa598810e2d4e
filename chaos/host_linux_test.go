package chaos

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is one that is reached over SSH, at the other end of a link.
type machine struct {
	*network
	folder string // with its keys, and with that of its user
}

// newMachine starts an SSH server in a network of its own, or skips the test.
func (u *user) newMachine() *machine {
	u.Helper()
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		u.Skip("SKIPPED, no link to a target is cut: there is no SSH server: apt-get install -y openssh-server")
	}
	m := &machine{network: newNetwork(u.T), folder: filepath.Join(u.root, "machine")}
	u.must(os.MkdirAll(m.folder, 0o700))
	u.must(os.MkdirAll("/run/sshd", 0o755))
	for _, key := range []string{"host", "id"} {
		if words, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(m.folder, key)).CombinedOutput(); err != nil {
			u.Fatalf("ssh-keygen: %v\n%s", err, words)
		}
	}
	public := func(key string) string {
		text, err := os.ReadFile(filepath.Join(m.folder, key+".pub"))
		u.must(err)
		return string(text)
	}
	for name, text := range map[string]string{
		"authorized_keys": public("id"),
		"known_hosts":     m.theirs + " " + public("host"),
		"config": fmt.Sprintf("ListenAddress %s:22\nHostKey %s/host\nAuthorizedKeysFile %s/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n",
			m.theirs, m.folder, m.folder),
	} {
		u.must(os.WriteFile(filepath.Join(m.folder, name), []byte(text), 0o600))
	}
	server := exec.Command("ip", "netns", "exec", m.name, sshd, "-D", "-e", "-f", filepath.Join(m.folder, "config"))
	server.Env = u.env // by which it is ended with all else that belongs to the user
	u.must(server.Start())
	u.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	u.until("the machine answers", func() bool {
		c, err := net.DialTimeout("tcp", m.theirs+":22", time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return m
}

// target is the machine in the words of a workspace.
func (m *machine) target() string {
	return fmt.Sprintf("{ kind: ssh, host: %s, user: root, identity_file: %[2]s/id, known_hosts: %[2]s/known_hosts, workdir: %[2]s/jobs }", m.theirs, m.folder)
}

// F9: the link between engine and target is cut while a job runs there, whose end nobody
// sees. The job is out of reach, and not failed: it is not begun again, here or elsewhere,
// and is followed once the link is back.
func TestLinkToTheTargetCut(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	m := u.newMachine()
	u.write("amlflow.yaml", "amlflow: v1\nworkspace: chaos\ntargets:\n  far: "+m.target()+"\n  near: { kind: local }\n")
	end := u.gate("end")
	run := u.submit(step{name: "far", lines: 100, leaves: true, script: end.wait(), keys: "target: [far, near]\nretry: { attempts: 3, backoff: 100ms }\n"})
	u.until("the job runs", func() bool { return u.count(Started) == 1 })

	m.ip("link", "set", m.near, "down")
	u.until("the run says that the machine cannot be reached", func() bool {
		s := u.status(run).Stages["far"]
		if s.Status != "running" || s.Attempts != 1 {
			t.Fatalf("the stage is %s in attempt %d: %s", s.Status, s.Attempts, deref(s.Error))
		}
		return strings.Contains(s.Why, "may be running") && strings.Contains(s.Why, m.theirs)
	})
	if u.rand.IntN(2) == 0 {
		u.killServer() // what it knew of the job goes with it
		u.does("server", "start")
	}
	end.open() // the job ends, and nobody sees it
	u.until("the job has ended", func() bool { return u.count(Finished) == 1 })
	time.Sleep(*away) // longer than another candidate is waited for
	m.ip("link", "set", m.near, "up")

	if r := u.observe(run); r.Status != "succeeded" || r.Stages["far"].Attempts != 1 {
		t.Errorf("the run %s after %d attempts: %s", r.Status, r.Stages["far"].Attempts, deref(r.Error))
	}
	u.judge()
}
