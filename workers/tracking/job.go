package tracking

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/ranks"
)

// The files in a job's folder.
const (
	trackedDir  = "tracked"
	journalFile = "journal.jsonl"
	filesDir    = "files"
)

// job is what one job has logged.
type job struct {
	dir    string // the job's folder
	asked  time.Time
	record record // of models, beyond what is the job's own

	mu     sync.Mutex
	loaded bool
	state
}

// state is what the journal and the metrics say together.
type state struct {
	experiments map[string]*experiment
	runs        map[string]*run
	order       []*run // as they were created
	models      map[string]*model
	modelOrder  []*model
	registered  map[string]*registered
	traces      map[string]json.RawMessage
	used        []Used
}

// change is one thing of what a request changed. Exactly one field is set.
type change struct {
	Experiment *experiment `json:"experiment,omitempty"` // as it is from now on
	Run        *runInfo    `json:"run,omitempty"`        // as it is from now on
	Param      *entry      `json:"param,omitempty"`
	Tag        *entry      `json:"tag,omitempty"`
	Untag      *entry      `json:"untag,omitempty"`
	Metric     *point      `json:"metric,omitempty"` // of a nested run; others are in the file of metrics
	Linked     *linked     `json:"linked,omitempty"`
	Model      *model      `json:"model,omitempty"` // as it is from now on
	Registered *registered `json:"registered,omitempty"`
	Trace      *trace      `json:"trace,omitempty"`
	Used       *Used       `json:"used,omitempty"`
}

// entry is a param or a tag of a run.
type entry struct {
	Run   string `json:"run"`
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

func (j *job) path(parts ...string) string {
	return filepath.Join(append([]string{j.dir, trackedDir}, parts...)...)
}

func (j *job) idle() bool {
	if !j.mu.TryLock() {
		return false
	}
	j.mu.Unlock()
	return true
}

// load reads what the job has logged before this process lived.
func (j *job) load() error {
	if j.loaded {
		return nil
	}
	s, err := readState(j.dir)
	if err != nil {
		return err
	}
	j.state, j.loaded = s, true
	return nil
}

func readState(dir string) (state, error) {
	s := state{
		experiments: map[string]*experiment{}, runs: map[string]*run{}, models: map[string]*model{},
		registered: map[string]*registered{}, traces: map[string]json.RawMessage{},
	}
	begun := now()
	if info, err := os.Stat(filepath.Join(dir, "job.json")); err == nil {
		begun = whole(info.ModTime().UnixMilli())
	}
	s.experiments[defaultExperiment] = &experiment{ID: defaultExperiment, Name: "Default", Stage: active, Created: begun, Updated: begun}
	err := eachLine(filepath.Join(dir, trackedDir, journalFile), func(line []byte) {
		var all []change
		if json.Unmarshal(line, &all) == nil { // else it was being written
			s.apply(all)
		}
	})
	if err == nil {
		err = eachLine(filepath.Join(dir, ranks.MetricsFile), s.readMetrics)
	}
	if err != nil {
		return s, fmt.Errorf("read what the job has logged: %w", err)
	}
	return s, nil
}

func eachLine(path string, do func(line []byte)) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range bytes.Lines(text) {
		do(line)
	}
	return err
}

// write puts changes on record, and makes them so. What a request says is one line: it is
// there, or none of it.
func (j *job) write(all ...change) error {
	if len(all) == 0 {
		return nil
	}
	text, err := json.Marshal(all)
	if err != nil {
		return invalid("it cannot be kept: %v", err)
	}
	if err := os.MkdirAll(j.path(), 0o700); err != nil {
		return err
	}
	if err := appendLines(j.path(journalFile), append(text, '\n')); err != nil {
		return err
	}
	j.apply(all)
	return nil
}

// appendLines adds whole lines to a file, in one go, whatever its last line is like. A
// reader sees none of them, or all. The kernel keeps them from here on; see the law of the
// disk in package jobdir.
func appendLines(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			text = append([]byte{'\n'}, text...)
		}
	}
	if err == nil {
		_, err = f.Write(text)
	}
	return errors.Join(err, f.Close())
}

// apply makes changes so. It must do the same whether they are new or read again.
func (s *state) apply(all []change) {
	for _, c := range all {
		switch {
		case c.Experiment != nil:
			s.experiments[c.Experiment.ID] = c.Experiment
		case c.Run != nil:
			s.applyRun(*c.Run)
		case c.Model != nil:
			s.applyModel(c.Model)
		case c.Registered != nil:
			s.registered[c.Registered.Name] = c.Registered
		case c.Trace != nil:
			s.traces[c.Trace.ID] = c.Trace.Info
		case c.Used != nil:
			s.used = append(s.used, *c.Used)
		default:
			s.applyTo(c)
		}
	}
}

// applyTo changes something of a run.
func (s *state) applyTo(c change) {
	of := func(id string) *run { return s.runs[id] }
	switch {
	case c.Param != nil && of(c.Param.Run) != nil:
		of(c.Param.Run).params[c.Param.Key] = c.Param.Value
	case c.Tag != nil && of(c.Tag.Run) != nil:
		of(c.Tag.Run).tags[c.Tag.Key] = c.Tag.Value
	case c.Untag != nil && of(c.Untag.Run) != nil:
		delete(of(c.Untag.Run).tags, c.Untag.Key)
	case c.Metric != nil && of(c.Metric.Run) != nil:
		s.addPoint(*c.Metric)
	case c.Linked != nil && of(c.Linked.Run) != nil:
		of(c.Linked.Run).link(*c.Linked)
	}
}

func now() whole { return whole(time.Now().UnixMilli()) }
