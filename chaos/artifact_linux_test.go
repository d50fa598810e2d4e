package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// F12: the server is killed at a random byte of the artifacts that it stores. What
// the store shows under a digest is whole, always.
func TestServerKilledWhileItStores(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	const rounds = 6
	var steps []step
	for i := range rounds {
		g := u.gate(fmt.Sprint(i))
		big := step{name: fmt.Sprint("s", i), lines: 10, script: g.wait(), leaves: true, keys: "env: { BYTES: \"30000000\" }\n"}
		steps = append(steps, big)
	}
	run := u.submit(steps...)
	u.until("all jobs run", func() bool { return len(u.running()) == rounds })
	for i := range rounds {
		ended := u.count(Finished)
		u.gate(fmt.Sprint(i)).open()
		u.until("a job has ended", func() bool { return u.count(Finished) > ended })
		u.pause(100 * time.Millisecond)
		u.killServer()
		u.checkStore()
		u.does("server", "start")
	}
	u.observe(run)
	if n := u.checkStore(); n < rounds {
		t.Errorf("the store has %d artifacts, and %d stages left one", n, rounds)
	}
	u.judge()
}

// checkStore holds every artifact of the store against the digest in its name, and
// returns how many there are.
func (u *user) checkStore() (n int) {
	u.Helper()
	u.must(filepath.WalkDir(filepath.Join(u.home, "store", "sha256"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		if got := u.digest(path); got != d.Name() {
			u.Errorf("the artifact %s is torn: its content has the digest %s", d.Name(), got)
		}
		return nil
	}))
	return n
}

func (u *user) digest(path string) string {
	u.Helper()
	f, err := os.Open(path)
	u.must(err)
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	u.must(err)
	return hex.EncodeToString(sum.Sum(nil))
}

// F13: a byte of a stored artifact is flipped. Who would use it is refused, and
// both digests are named.
func TestFlippedByte(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	g := u.gate("hold")
	run := u.submit(
		step{name: "one", leaves: true},
		step{name: "hold", needs: []string{"one"}, script: g.wait()},
		step{name: "two", needs: []string{"hold"}, keys: "inputs: { model: \"${{ stages.one.outputs.model }}\" }\n"},
	)
	u.until("the second stage runs", func() bool { return u.count(Started) == 2 })
	was, _ := strings.CutPrefix(u.status(run).Stages["one"].Outputs["model"].(string), "sha256:")
	path := filepath.Join(u.home, "store", "sha256", was[:2], was)
	text, err := os.ReadFile(path)
	u.must(err)
	text[u.rand.IntN(len(text))] ^= 1 << u.rand.IntN(8)
	u.must(os.Chmod(path, 0o600))
	u.must(os.WriteFile(path, text, 0o600))
	is := u.digest(path)
	g.open()
	r := u.observe(run)
	two := r.Stages["two"]
	if two.Status != "failed" || two.Error == nil || !strings.Contains(*two.Error, was) || !strings.Contains(*two.Error, is) {
		t.Errorf("the stage that uses a damaged artifact is %s (%v); want a failure that names %s and %s", two.Status, deref(two.Error), was, is)
	}
	u.judge()
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
