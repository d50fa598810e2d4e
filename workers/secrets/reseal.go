package secrets

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// turns is how many files stand for the turns of all runs: they are never removed,
// because that would let two commands have the turn of one run.
const turns = 256

// Turn waits for the turn to seal the envelope of a run of which many commands may
// think that it is theirs. Closing the file gives it back, and so does the end of
// the process.
func Turn(ctx context.Context, home, run string) (*os.File, error) {
	h := fnv.New32()
	_, _ = h.Write([]byte(run))
	dir := filepath.Join(home, "turns")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fmt.Sprintf("%02x", h.Sum32()%turns))
	for {
		turn, err := jobdir.TryLock(path, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return turn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Reseal leaves the envelope for a run that has not begun, also where a command that
// was killed has left one. The values of this command count; what only the other one
// had stays, because its wish to begin the run may still be on its way.
func (e *Envelope) Reseal(home, run string) error {
	err := e.Seal(home, run)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	both := Envelope{Env: map[string][]byte{}, Key: e.Key}
	if old, _, err := unseal(home, run); err == nil { // one that cannot be read helps nobody
		maps.Copy(both.Env, old.Env)
		if both.Key == "" {
			both.Key = old.Key
		}
	}
	maps.Copy(both.Env, e.Env)
	text, err := both.sealed(home, run)
	if err != nil {
		return err
	}
	path := envelopeFile(home, run)
	return jobdir.WriteDurable(filepath.Dir(path), filepath.Base(path), text)
}
