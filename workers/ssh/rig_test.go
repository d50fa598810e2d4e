package ssh

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// rig is a real SSH server on a port of this computer, and a key that opens it.
type rig struct {
	dir  string
	port int
	key  ssh.PublicKey // of the host
}

// startServer starts an SSH server with options that are added to its configuration, or
// skips the test.
func startServer(t *testing.T, options ...string) *rig {
	t.Helper()
	return startServerAs(t, nil, options...)
}

// startServerAs is startServer, with the accounts of the machine as the server sees them
// changed: how is called with the rig, and returns a program that runs the one which its
// arguments name.
func startServerAs(t *testing.T, how func(*rig) []string, options ...string) *rig {
	t.Helper()
	sshd := "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		t.Skip("SKIP: there is no SSH server to log in to: apt-get install -y openssh-server")
	}
	if os.Getuid() == 0 { // where it leaves its rights
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{dir: t.TempDir()}
	r.key = r.makeKey(t, "host", "")
	mine := r.makeKey(t, "id", "")
	r.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(mine)))
	var by []string
	if how != nil {
		by = how(r)
	}
	for try := 0; ; try++ {
		err := r.listen(t, append(by, sshd), options)
		if err == nil {
			break
		}
		if try == 5 {
			t.Fatal(err)
		}
	}
	r.write(t, "known_hosts", knownhosts.Line([]string{knownhosts.Normalize(r.address())}, r.key)+"\n")
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

func (r *rig) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// makeKey makes the pair of files name and name.pub.
func (r *rig) makeKey(t *testing.T, name, passphrase string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, name, string(pem.EncodeToMemory(block)))
	r.write(t, name+".pub", string(ssh.MarshalAuthorizedKey(key)))
	return key
}

// makeECDSA makes a private key of the kind that servers and clients like best.
func (r *rig) makeECDSA(t *testing.T, name string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, name, string(pem.EncodeToMemory(block)))
}

// listen starts the server on a free port.
func (r *rig) listen(t *testing.T, sshd, options []string) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	settings := append(slices.Clone(options), // the first of several counts
		"Port "+strconv.Itoa(r.port), "ListenAddress 127.0.0.1", "HostKey "+r.path("host"), "PidFile none",
		"AuthorizedKeysFile "+r.path("authorized_keys"), "StrictModes no", "UsePAM no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100",
	)
	r.write(t, "config", strings.Join(settings, "\n")+"\n")
	var said bytes.Buffer
	argv := append(slices.Clone(sshd), "-D", "-e", "-f", r.path("config"))
	c := exec.Command(argv[0], argv[1:]...)
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("tcp", r.address()); err == nil {
			conn.Close()
			t.Cleanup(func() { c.Process.Kill(); <-ended })
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the SSH server has ended: %s", said.String())
		default:
		}
	}
	return errors.Join(errors.New("the SSH server does not listen"), c.Process.Kill())
}

// target is a target on the server; more are settings beside those that reach it.
func (r *rig) target(t *testing.T, workdir string, more map[string]any) target.Target {
	t.Helper()
	s := map[string]any{"host": r.address(), "user": userName(t), "identity_file": r.path("id"), "known_hosts": r.path("known_hosts"), "workdir": workdir}
	for name, value := range more {
		s[name] = value
		if value == nil {
			delete(s, name)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return target.Target{Name: "there", Kind: "ssh", Settings: text}
}

func userName(t *testing.T) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Username
}

// driver is a driver whose connections end with the test.
func driver(t *testing.T) Driver {
	t.Helper()
	d := New()
	t.Cleanup(d.Close)
	return d
}
