package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Envelope is what the command that starts a run hands to those who work for it.
// A nil Envelope holds nothing.
type Envelope struct {
	Env map[string][]byte `json:"env,omitempty"` // variables of the command
	Key string            `json:"key,omitempty"` // to the store, when the command has one of its own
}

// Gather makes the envelope of a run that will use refs, and sees that every one of
// them can be had: it is better to say now what is missing. lookup gives the
// variables of the command.
func Gather(home string, refs []Ref, lookup func(string) (string, bool)) (*Envelope, error) {
	key, err := given(lookup)
	if err != nil {
		return nil, err
	}
	e := &Envelope{Env: map[string][]byte{}}
	s := source{home: home, env: e.Env, key: key, absent: "is not set: export it, and start the run again"}
	var wrong []string
	for _, r := range refs {
		if v, ok := lookup(r.Env); ok && r.Env != "" {
			e.Env[r.Env] = []byte(v)
		}
		if r.Store != "" {
			e.Key = key
		}
		if _, err := s.value(r); err != nil {
			wrong = append(wrong, fmt.Sprintf("secret %q: %v", r.Name, err))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	if len(e.Env) == 0 && e.Key == "" {
		return nil, nil
	}
	return e, nil
}

// Check reports why a command with these variables cannot have the secret now, or nil.
func Check(home string, r Ref, lookup func(string) (string, bool)) error {
	s := source{home: home, env: map[string][]byte{}, absent: "is not set"}
	if v, ok := lookup(r.Env); ok && r.Env != "" {
		s.env[r.Env] = []byte(v)
	}
	_, err := s.value(r)
	return err
}

// Seal leaves the envelope for a run. It refuses with fs.ErrExist when the run has
// one: another run has this id.
func (e *Envelope) Seal(home, run string) error {
	if e == nil {
		return nil
	}
	text, err := e.sealed(home, run)
	if err != nil {
		return err
	}
	return writeFirst(envelopeFile(home, run), text)
}

// sealed is the envelope as it is kept.
func (e *Envelope) sealed(home, run string) ([]byte, error) {
	if !target.ValidID(run) {
		return nil, fmt.Errorf("%q is not the id of a run", run)
	}
	keys, err := madeKey(home)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return encrypt(text, keys)
}

// Forget removes the envelope of a run that has ended. Doing it again is no error.
func Forget(home, run string) error {
	if !target.ValidID(run) {
		return fmt.Errorf("%q is not the id of a run", run)
	}
	err := os.Remove(envelopeFile(home, run))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sealed tells the runs that have an envelope, and since when.
func Sealed(home string) (map[string]time.Time, error) {
	entries, err := os.ReadDir(filepath.Dir(envelopeFile(home, "x")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	runs := map[string]time.Time{}
	for _, e := range entries {
		run, ok := strings.CutSuffix(e.Name(), ".age")
		if info, err := e.Info(); err == nil && ok && target.ValidID(run) {
			runs[run] = info.ModTime()
		}
	}
	return runs, err
}

func envelopeFile(home, run string) string { return filepath.Join(home, "secrets", run+".age") }

// unseal opens the envelope of a run and reports whether there is one.
func unseal(home, run string) (e Envelope, ok bool, err error) {
	if !target.ValidID(run) {
		return e, false, fmt.Errorf("%q is not the id of a run", run)
	}
	path := envelopeFile(home, run)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	keys, keyErr := homeKey(home)
	if err = errors.Join(err, keyErr); err == nil {
		if text, err = decrypt(text, keys); err == nil && json.Unmarshal(text, &e) != nil {
			err = errDamaged
		}
	}
	if err != nil {
		return e, true, fmt.Errorf("read %q: %w", path, err)
	}
	return e, true, nil
}
