package ssh

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// What a person has confirmed is trusted from then on, and nothing else.
func TestAHostIsIntroduced(t *testing.T) {
	r := startServer(t)
	others := "# mine\nother.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPY1wNn6jmSmgxvzOJLOq3QUSgkzkYbWFQfb6tFhTLXB" // without a line end
	right := strings.TrimSpace(r.read(t, "known_hosts"))
	r.write(t, "known_hosts", others)
	at, d := r.target(t, t.TempDir(), nil), driver(t)

	all, err := d.Introduce(t.Context(), at)
	if err != nil || len(all) != 1 || all[0].Mark != ssh.FingerprintSHA256(r.key) || all[0].Of != r.address() || all[0].What != "ssh-ed25519 host key" {
		t.Fatalf("got %+v, %v", all, err)
	}
	if got := r.read(t, "known_hosts"); got != others {
		t.Errorf("looking at it has changed the file to %q", got)
	}
	for range 2 {
		if err := d.Confirm(t.Context(), at, all); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.read(t, "known_hosts"), others+"\n"+right+"\n"; got != want {
		t.Errorf("the file is %q, want %q", got, want)
	}
	if all, err := d.Introduce(t.Context(), at); err != nil || len(all) != 0 {
		t.Errorf("once more: %+v, %v", all, err)
	}
	usable(t, at)
}

func TestAFileOfKnownHostsIsMade(t *testing.T) {
	r := startServer(t)
	at, d := r.target(t, t.TempDir(), map[string]any{"known_hosts": r.path("new/known_hosts")}), driver(t)
	all, err := d.Introduce(t.Context(), at)
	if err == nil {
		err = d.Confirm(t.Context(), at, all)
	}
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.path("new/known_hosts")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	usable(t, at)
}

func TestAHostWithAnotherKeyIsNotIntroduced(t *testing.T) {
	r := startServer(t)
	other := r.makeKey(t, "other", "")
	r.write(t, "known_hosts", knownhosts.Line([]string{knownhosts.Normalize(r.address())}, other)+"\n")
	all, err := driver(t).Introduce(t.Context(), r.target(t, t.TempDir(), nil))
	if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "another one than before") || all != nil {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestAHostThatIsAwayIsNotIntroduced(t *testing.T) {
	r := startServer(t)
	if _, err := driver(t).Introduce(t.Context(), r.target(t, t.TempDir(), map[string]any{"host": "127.0.0.1:1"})); !errors.Is(err, target.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
