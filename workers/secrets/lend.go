package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Nobody is there to export a variable when a schedule begins a run. So what the command
// that added the schedule had is kept as long as the schedule is, and each run is given a
// copy. It is encrypted as the envelopes of runs are.

func keptFile(home, name string) string {
	return filepath.Join(home, "secrets", "schedules", name+".age")
}

// Keep leaves the envelope for all runs of a schedule, in place of an earlier one.
func (e *Envelope) Keep(home, name string) error {
	text, err := e.sealed(home, name)
	if err != nil {
		return err
	}
	path := keptFile(home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return jobdir.WriteDurable(filepath.Dir(path), filepath.Base(path), text)
}

// Lend gives a run that has not begun what is kept for its schedule. Doing it again
// changes nothing.
func Lend(home, name, run string) error {
	if !target.ValidID(run) {
		return fmt.Errorf("%q is not the id of a run", run)
	}
	text, err := os.ReadFile(keptFile(home, name))
	if err != nil {
		return err
	}
	err = writeFirst(envelopeFile(home, run), text)
	if errors.Is(err, fs.ErrExist) {
		return nil // it was done, or the id is another run's, which keeps its own
	}
	return err
}

// Drop removes what is kept for a schedule. Doing it again is no error.
func Drop(home, name string) error {
	err := os.Remove(keptFile(home, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
