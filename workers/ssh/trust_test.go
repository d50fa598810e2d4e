package ssh

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// refused wants that a target cannot be used, for good, and that the error has words.
func refused(t *testing.T, at target.Target, words ...string) {
	t.Helper()
	err := driver(t).Check(t.Context(), at)
	if !errors.Is(err, target.ErrPermanent) || errors.Is(err, target.ErrUnreachable) {
		t.Errorf("got %v, want a permanent error", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not have %q: %v", w, err)
		}
	}
}

func usable(t *testing.T, at target.Target) {
	t.Helper()
	if err := driver(t).Check(t.Context(), at); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownHostIsRefused(t *testing.T) {
	r := startServer(t)
	right := r.read(t, "known_hosts")
	r.write(t, "known_hosts", "")
	refused(t, r.target(t, t.TempDir(), nil), ssh.FingerprintSHA256(r.key), strings.TrimSpace(right))
	if err := os.Remove(r.path("known_hosts")); err != nil {
		t.Fatal(err)
	}
	refused(t, r.target(t, t.TempDir(), nil), ssh.FingerprintSHA256(r.key))
}

func TestAnotherKeyThanBeforeIsRefused(t *testing.T) {
	r := startServer(t)
	other := r.makeKey(t, "other", "")
	r.write(t, "known_hosts", knownhosts.Line([]string{knownhosts.Normalize(r.address())}, other)+"\n")
	refused(t, r.target(t, t.TempDir(), nil), "another one than before", ssh.FingerprintSHA256(r.key), ssh.FingerprintSHA256(other), "ssh-keygen -R")
}

// What cannot be read costs the other lines nothing, and is named when a key is missing.
func TestGarbageAmongKnownHosts(t *testing.T) {
	r := startServer(t)
	garbage := "this is no line\n\x00\xff\nhost ssh-ed25519 !!!\n|1|bad ssh-ed25519 AAAA\n"
	r.write(t, "known_hosts", garbage+r.read(t, "known_hosts")+"more of it")
	usable(t, r.target(t, t.TempDir(), nil))
	r.write(t, "known_hosts", garbage)
	refused(t, r.target(t, t.TempDir(), nil), "known_hosts:1", "known_hosts:4")
}

// A host with several keys is asked for the one that is known.
func TestTheKnownOneOfSeveralKeys(t *testing.T) {
	keys := &rig{dir: t.TempDir()}
	keys.makeECDSA(t, "ecdsa")
	r := startServer(t, "HostKey "+keys.path("ecdsa"))
	usable(t, r.target(t, t.TempDir(), nil))
}

func TestTheWrongKeyIsRefused(t *testing.T) {
	r := startServer(t)
	r.makeKey(t, "id", "")
	refused(t, r.target(t, t.TempDir(), nil), "refuses to log", "id", "identity_file")
	refused(t, r.target(t, t.TempDir(), map[string]any{"identity_file": "/no/such/key"}), "/no/such/key")
}

func TestAKeyWithAPassphrase(t *testing.T) {
	r := startServer(t)
	r.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(r.makeKey(t, "locked", "open sesame"))))
	at := func(passphrase any) target.Target {
		return r.target(t, t.TempDir(), map[string]any{"identity_file": r.path("locked"), "passphrase": passphrase})
	}
	r.write(t, "word", "open sesame\n")
	usable(t, at(map[string]string{"file": r.path("word")}))
	t.Setenv("X_WORD", "open sesame")
	usable(t, at(map[string]string{"env": "X_WORD"}))
	t.Setenv("X_WORD", "shut")
	refused(t, at(map[string]string{"env": "X_WORD"}), "passphrase right")
	refused(t, at(map[string]string{"env": "X_NONE"}), "X_NONE")
	refused(t, at(nil), "has a passphrase")
}

// The way leads over other machines, and names mean what they mean to ssh.
func TestJumpHostsAndNames(t *testing.T) {
	gate, inner := startServer(t), startServer(t)
	inner.write(t, "authorized_keys", gate.read(t, "authorized_keys"))
	gate.write(t, "known_hosts", gate.read(t, "known_hosts")+inner.read(t, "known_hosts"))
	usable(t, gate.target(t, t.TempDir(), map[string]any{"host": inner.address(), "jump": []string{gate.address()}}))

	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	_, gatePort, _ := net.SplitHostPort(gate.address())
	_, innerPort, _ := net.SplitHostPort(inner.address())
	config := strings.NewReplacer("KEY", gate.path("id"), "KNOWN", gate.path("known_hosts"), "GATE", gatePort, "INNER", innerPort, "ME", userName(t)).Replace(`
Host gate
  HostName 127.0.0.1
  Port GATE
Host in*
  HostName 127.0.0.1
  Port INNER
  ProxyJump gate
Host *
  User ME
  IdentityFile KEY
  UserKnownHostsFile KNOWN
`)
	if err := errors.Join(os.Mkdir(home+"/.ssh", 0o700), os.WriteFile(home+"/.ssh/config", []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	usable(t, gate.target(t, t.TempDir(), map[string]any{"host": "inside", "user": nil, "identity_file": nil, "known_hosts": nil}))
	gate.write(t, "known_hosts", inner.read(t, "known_hosts"))
	refused(t, gate.target(t, t.TempDir(), map[string]any{"host": "inside", "user": nil, "identity_file": nil, "known_hosts": nil}), gate.address())
}

func TestAHostThatIsNotThere(t *testing.T) {
	r := startServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = driver(t).Check(t.Context(), r.target(t, t.TempDir(), map[string]any{"host": l.Addr().String()}))
	if !errors.Is(err, target.ErrUnreachable) || errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for settings, word := range map[string]string{
		`{}`:                             "names no machine",
		`{"host": "a", "hosts": ["b"]}`:  "both",
		`{"host": "a", "workdir": "\n"}`: "line break",
		`{"host": "a b"}`:                "no name of a machine",
		`{"host": "a:none"}`:             "no port",
	} {
		err := driver(t).Check(t.Context(), target.Target{Name: "bad", Kind: "ssh", Settings: []byte(settings)})
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v", settings, err)
		}
	}
}
