package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// record is the content of job.json.
type record struct {
	Job   target.Job       `json:"job"`
	Needs target.Resources `json:"needs"` // what was granted
	Shell string           `json:"shell"`
	Log   int64            `json:"log"`            // how many bytes of a log are kept
	Port  int              `json:"port"`           // MASTER_PORT of all ranks
	Boot  string           `json:"boot"`           // the run of the machine in which the folder was filled
	Venv  string           `json:"venv,omitempty"` // the Python environment
	GPUs  devices          `json:"gpus,omitempty"` // all that the target lends
	Lent  []string         `json:"-"`              // those of the job, once it has them
	// Tracking is where the job logs to with the client of MLflow; nil: not to us.
	Tracking *tracking.Access `json:"tracking,omitempty"`
	// Confided tells that the job was given secrets, so that what it left is removed at
	// once.
	Confided bool `json:"confided,omitempty"`
	// Raw are the variables of the job whose values are no text, which JSON cannot hold.
	Raw map[string][]byte `json:"raw,omitempty"`
}

func newRecord(t target.Target, job target.Job) (record, error) {
	s, err := readSettings(t)
	if err != nil {
		return record{}, err
	}
	if err := job.Check(); err != nil {
		return record{}, err
	}
	if n := job.Ranks(); n > mostRanks {
		return record{}, fmt.Errorf("job %q has %d ranks, and this computer starts at most %d: ask for fewer nodes or processes: %w", job.ID, n, mostRanks, target.ErrPermanent)
	}
	if err := supported(t.Name, job.Environment); err != nil {
		return record{}, fmt.Errorf("job %q: %w", job.ID, err)
	}
	needs, err := s.room().Grant(t.Name, job.Needs)
	return record{Raw: raw(job.Env), Job: job, Needs: needs, Shell: s.Shell, Log: int64(s.Log), GPUs: s.GPUs, Boot: jobdir.BootID(), Confided: len(job.Secrets) > 0}, err
}

// read reads job.json and reports whether it is whole. It is not while it is being
// written, after whoever did so has died, and perhaps after a restart of the machine.
func (f folder) read() (r record, ok bool, err error) {
	text, err := os.ReadFile(f.path("job.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if json.Unmarshal(text, &r) != nil {
		return record{}, false, nil
	}
	for name, value := range r.Raw {
		r.Job.Env[name] = string(value)
	}
	return r, true, nil
}

// raw picks the variables whose values are no text.
func raw(env map[string]string) map[string][]byte {
	picked := map[string][]byte{}
	for name, value := range env {
		if !utf8.ValidString(value) {
			picked[name] = []byte(value)
		}
	}
	return picked
}
