package tracking

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/amlflow/amlflow/workers/target"
)

// RunsFile is the file in the folder that Keep makes which says what was logged.
const RunsFile = "runs.json"

// Logged is what a job has logged, beside files.
type Logged struct {
	Runs       []Run        `json:"runs"`
	Models     []Model      `json:"models,omitempty"`
	Registered []Registered `json:"registered,omitempty"`
	Used       []Used       `json:"used,omitempty"` // models on record that it has loaded
}

// Run is one run of those that a job has logged. Its artifacts are in the folder
// runs/<id>, beside RunsFile.
type Run struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Experiment string            `json:"experiment"`
	Status     string            `json:"status"`
	Started    int64             `json:"started"` // milliseconds since 1970
	Ended      int64             `json:"ended,omitempty"`
	Parent     string            `json:"parent,omitempty"`
	Params     map[string]string `json:"params,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Last       map[string]any    `json:"metrics,omitempty"` // the value of each that counts
	Datasets   []any             `json:"datasets,omitempty"`
}

// Model is a model that a job has logged, in the folder models/<id>.
type Model struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Run    string            `json:"run,omitempty"`
	Params map[string]string `json:"params,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// Registered is a version of a model that a job has registered under a name.
type Registered struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Source  string `json:"source"`
	// Aliases are what the job calls this version.
	Aliases []string `json:"aliases,omitempty"`
	// OnRecord tells that it was there before: only its aliases are the job's.
	OnRecord bool `json:"on_record,omitempty"`
}

// Keep stores what the job in a folder has logged, once it has ended: RunsFile, and the
// artifacts. The name is empty when it has logged nothing. Metrics are among those of the
// job.
func Keep(ctx context.Context, dir string, out target.Blobs) (target.Ref, error) {
	if !there(filepath.Join(dir, trackedDir)) {
		return "", nil
	}
	s, err := readState(dir)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(s.logged(), "", "  ")
	if err != nil {
		return "", err
	}
	// Like a log, it may quote secrets.
	ref, err := target.PutLog(ctx, out, bytes.NewReader(append(text, '\n')))
	if err != nil {
		return "", err
	}
	parts := []target.Part{{Name: RunsFile, Ref: ref}}
	files := filepath.Join(dir, trackedDir, filesDir)
	kinds, err := os.ReadDir(files)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, kind := range kinds {
		if !kind.IsDir() {
			continue
		}
		tree, err := target.PutTree(ctx, out, filepath.Join(files, kind.Name()), nil)
		if err != nil {
			return "", fmt.Errorf("the artifacts that were logged: %w", err)
		}
		parts = append(parts, target.Part{Name: kind.Name(), Ref: tree})
	}
	slices.SortFunc(parts, func(a, b target.Part) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return target.JoinTree(ctx, out, parts)
}

func (s *state) logged() Logged {
	l := Logged{Runs: []Run{}, Used: s.used}
	for _, r := range s.order {
		if r.info.Stage == deleted {
			continue
		}
		i := r.info
		said := Run{ID: i.ID, Name: i.Name, Status: i.Status, Started: int64(i.Start), Ended: int64(i.End), Parent: i.Parent, Params: r.params, Tags: r.tags, Last: map[string]any{}}
		if e := s.experiments[i.Experiment]; e != nil {
			said.Experiment = e.Name
		}
		for key, all := range r.metrics {
			said.Last[key] = latest(all).Value
		}
		for _, d := range r.datasets {
			said.Datasets = append(said.Datasets, d)
		}
		l.Runs = append(l.Runs, said)
	}
	for _, m := range s.modelOrder {
		if !m.Deleted {
			l.Models = append(l.Models, Model{m.ID, m.Name, m.Source, m.Params, m.Tags})
		}
	}
	for _, name := range sorted(s.registered) {
		l.Registered = append(l.Registered, s.registered[name].renamed()...)
		for i, v := range s.registered[name].Versions {
			if s.registered[name].Deleted || v.Deleted {
				continue
			}
			said := s.registered[name].version(i)
			l.Registered = append(l.Registered, Registered{Name: name, Version: s.registered[name].Base + i + 1, Source: v.Source, Aliases: said["aliases"].([]string)})
		}
	}
	return l
}

// renamed are the versions that were on record and to which the job has given aliases.
func (r *registered) renamed() (all []Registered) {
	for _, alias := range sorted(r.Aliases) {
		if n, err := strconv.Atoi(r.Aliases[alias]); err == nil && n <= r.Base && !r.Deleted {
			all = append(all, Registered{Name: r.Name, Version: n, Aliases: []string{alias}, OnRecord: true})
		}
	}
	return all
}
