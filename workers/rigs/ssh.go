package rigs

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// SSH is an SSH server on a port of this computer, and a key that opens it. Whoever runs
// the test may log in.
type SSH struct {
	address    string // host:port
	identity   string // the file of the private key
	knownHosts string // the file with the key of the host
	user       string
	cmd        *exec.Cmd
}

// Settings are those of a target by which its driver logs in.
func (s *SSH) Settings() map[string]any {
	return map[string]any{"host": s.address, "user": s.user, "identity_file": s.identity, "known_hosts": s.knownHosts}
}

// StartSSH starts an SSH server that keeps its files in the folder dir.
func StartSSH(dir string) (*SSH, error) {
	if err := need("apt-get install -y openssh-server", "sshd", "ssh-keygen"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // where it leaves its rights
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"host", "id"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at(name)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("make a key: %w: %s", err, out)
		}
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	s := &SSH{address: net.JoinHostPort("127.0.0.1", ports[0]), identity: at("id"), knownHosts: at("known_hosts"), user: me.Username}
	host, err := os.ReadFile(at("host.pub"))
	if err != nil {
		return nil, err
	}
	config := strings.Join([]string{
		"Port " + ports[0], "ListenAddress 127.0.0.1", "HostKey " + at("host"), "PidFile none", "AuthorizedKeysFile " + at("id.pub"),
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100", "",
	}, "\n")
	for name, text := range map[string]string{"config": config, "known_hosts": fmt.Sprintf("[127.0.0.1]:%s %s", ports[0], host)} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	var said bytes.Buffer
	s.cmd = exec.Command(Program("sshd"), "-D", "-e", "-f", at("config"))
	s.cmd.Stderr = &said
	s.cmd.WaitDelay = time.Second // sessions hold it open for as long as whoever is logged in
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	listens := func() bool {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	if !Awaits(listens) {
		s.End()
		return nil, fmt.Errorf("the SSH server does not listen: %s", said.String())
	}
	return s, nil
}

// End ends the server.
func (s *SSH) End() { end(s.cmd) }
