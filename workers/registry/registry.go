// Package registry keeps models under names and versions: what each is made of, which
// one has a label, and who said so. It is a record beside the artifacts of a store.
package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Registry is what a store knows of models: the folder models/ of it, with a folder for
// each name. Any number of processes may use it: each change of a name is made by one at
// a time, under the lock of that name, and every file is replaced as a whole. A process
// that is killed between two files leaves what the next one completes.
type Registry struct{ dir string }

// Open returns the registry of the store in a folder. Nothing is made before the first
// model is there.
func Open(store string) Registry { return Registry{filepath.Join(store, "models")} }

// Version is one content under one name. Versions count up from 1 and are never used
// again, also after one was removed. The same content again is the same version, made
// once more: a retry, a second worker or a cached result adds none.
type Version struct {
	Model    string     `json:"model"`
	Version  int        `json:"version"`
	Artifact target.Ref `json:"artifact,omitempty"` // empty: it was removed
	Made     time.Time  `json:"made"`
	Risky    []Risk     `json:"risky,omitempty"` // files that run code when they are loaded
	Origins  []Origin   `json:"origins"`         // what made it, the first one first; of very many the first and the newest
	Removed  *Decision  `json:"removed,omitempty"`
}

// Reference is how a person names the version: digits@3.
func (v Version) Reference() string { return v.Model + "@" + strconv.Itoa(v.Version) }

// Origin is a stage of a run that made a version.
type Origin struct {
	Run       string             `json:"run"`
	Job       string             `json:"job"` // the attempt
	Pipeline  string             `json:"pipeline"`
	Stage     string             `json:"stage"` // "nested/train" for one of a pipeline that another stage runs
	Item      string             `json:"item,omitempty"`
	Output    string             `json:"output"`
	Workspace string             `json:"workspace,omitempty"`
	Plan      string             `json:"plan"` // the digest of the plan
	At        time.Time          `json:"at"`
	Params    map[string]any     `json:"params,omitempty"`
	Metrics   map[string]float64 `json:"metrics,omitempty"`
	Code      target.Ref         `json:"code,omitempty"`
	Inputs    []Given            `json:"inputs,omitempty"`
	Before    []Ancestor         `json:"before,omitempty"` // the stages whose results it used, the nearest first
}

// Given is an artifact that a stage was given.
type Given struct {
	Name     string     `json:"name"`
	Artifact target.Ref `json:"artifact"`
}

// Ancestor is a stage that came before, and what it made.
type Ancestor struct {
	Stage   string     `json:"stage"`
	Run     string     `json:"run,omitempty"` // an earlier one whose results were kept or reused; empty: the same
	Job     string     `json:"job,omitempty"`
	Uses    []string   `json:"uses,omitempty"` // stages whose results it used
	Outputs []Given    `json:"outputs,omitempty"`
	Code    target.Ref `json:"code,omitempty"`
}

// Decision is what a person said, and why.
type Decision struct {
	At  time.Time `json:"at"`
	By  string    `json:"by,omitempty"`
	Why string    `json:"why,omitempty"`
}

// Move is a label that went from one version to another. A version of 0 stands for none.
type Move struct {
	Label string `json:"label"`
	From  int    `json:"from,omitempty"`
	To    int    `json:"to,omitempty"`
	Decision
}

// The errors that callers tell apart.
var (
	ErrUnknown = errors.New("there is no such model")
	ErrHeld    = errors.New("it is in use")
)

// Labels are the words that one version of a model has at a time.
var Labels = []string{"candidate", "staging", "production"}

// Latest stands for the newest version, wherever a label may be read.
const Latest = "latest"

// maxName is how long a name may be: one that is made of a pipeline's, a stage's and an
// output's is longer than what people write.
const maxName = 200

var (
	names      = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	references = regexp.MustCompile(`^([a-z0-9][a-z0-9._-]*)@([a-z]+|[0-9]+)$`)
)

// ValidName reports whether a model may have this name.
func ValidName(name string) bool { return len(name) <= maxName && names.MatchString(name) }

// Parse reads NAME@VERSION or NAME@LABEL.
func Parse(text string) (name, which string, ok bool) {
	m := references.FindStringSubmatch(text)
	if m == nil || !ValidName(m[1]) {
		return "", "", false
	}
	return m[1], m[2], true
}

func (r Registry) folder(name string) string { return filepath.Join(r.dir, name) }

func file(n int) string { return fmt.Sprintf("%08d.json", n) }

// Names lists the models, sorted.
func (r Registry) Names() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && ValidName(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// Versions lists those of a model that were not removed, the oldest first.
func (r Registry) Versions(name string) ([]Version, error) {
	all, err := r.numbers(name)
	if err != nil {
		return nil, err
	}
	var out []Version
	for _, n := range all {
		v, err := r.read(name, n)
		if err != nil {
			return nil, err
		}
		if v.Removed == nil {
			out = append(out, v)
		}
	}
	return out, nil
}

// numbers are all versions that there are or were, ascending.
func (r Registry) numbers(name string) ([]int, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("%w: %q cannot be the name of one", ErrUnknown, name)
	}
	entries, err := os.ReadDir(r.folder(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), ".json")
		if n, err := strconv.Atoi(text); ok && err == nil && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (r Registry) read(name string, n int) (v Version, err error) {
	text, err := os.ReadFile(filepath.Join(r.folder(name), file(n)))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("the record of model %s@%d cannot be read: %w", name, n, err)
	}
	return v, nil
}

// labels is the file that says which version has which label, and how that came.
type labels struct {
	Holders map[string]int `json:"holders"`
	History []Move         `json:"history"`
	Aliases map[string]int `json:"aliases,omitempty"` // see Alias
}

func (r Registry) labels(name string) (l labels, err error) {
	l.Holders = map[string]int{}
	text, err := os.ReadFile(filepath.Join(r.folder(name), "labels"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return l, fmt.Errorf("the labels of model %q cannot be read: %w", name, err)
	}
	return l, nil
}

// Holders are the versions of a model that have labels, by label.
func (r Registry) Holders(name string) (map[string]int, error) {
	l, err := r.labels(name)
	return l.Holders, err
}

// History is how the labels of a model moved, the oldest first.
func (r Registry) History(name string) ([]Move, error) {
	l, err := r.labels(name)
	return l.History, err
}

// Artifacts are the contents of all versions.
func (r Registry) Artifacts() ([]target.Ref, error) {
	all, err := r.Names()
	if err != nil {
		return nil, err
	}
	var out []target.Ref
	for _, name := range all {
		versions, err := r.Versions(name)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			out = append(out, v.Artifact)
		}
	}
	return out, nil
}

// Newest is the highest number that was ever given to a version of a model; 0: there is none.
func (r Registry) Newest(name string) (int, error) {
	all, err := r.numbers(name)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[len(all)-1], nil
}

// Aliases are what jobs call versions of a model, beside the labels that people give.
func (r Registry) Aliases(name string) (map[string]int, error) {
	l, err := r.labels(name)
	return l.Aliases, err
}
