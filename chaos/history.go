// Package chaos breaks the real program from outside, with real processes, and
// judges it by what can be observed: files, processes and what its commands print.
//
// A test submits pipelines as a person does and then does harm. Meanwhile the jobs
// and the test append facts to one file, the history; Check, a pure function, says
// which promise the history breaks. docs/faults.md lists the faults.
package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind says what a fact is about.
type Kind string

// The kinds of fact, and which fields they have besides At.
const (
	Accepted  Kind = "accepted"  // the program named a run that it takes on: Run
	Declared  Kind = "declared"  // what a run has to do: Run, Stage, Needs, Items
	Started   Kind = "started"   // a job runs its first command: Job, PID, Lines
	Finished  Kind = "finished"  // a job is about to end by itself: Job, PID, Exit
	Made      Kind = "made"      // a job left an artifact: Job, Name, Digest
	Killed    Kind = "killed"    // the test sent a signal: Name, PID
	Reached   Kind = "reached"   // the program follows jobs again: Name, After
	Ended     Kind = "ended"     // how a run ended, as status says: Run, Status, Exit (of the command that waited)
	Stage     Kind = "stage"     // how a stage ended, as status says: Run, Stage, Status, Attempts, Exit, Count
	Published Kind = "published" // an artifact, as status names it: Run, Stage, Name, Digest
	Logged    Kind = "logged"    // the numbers of the lines of a stage's log: Run, Stage, Numbers
	Alive     Kind = "alive"     // a process of a job after its run had ended: Run, Job, PID
)

// Fact is one observation.
type Fact struct {
	At       float64  `json:"at"` // seconds since 1970, by the clock of this computer
	Is       Kind     `json:"is"`
	Run      string   `json:"run,omitempty"`
	Stage    string   `json:"stage,omitempty"` // "fan[3]" is an item, counted from 0
	Job      string   `json:"job,omitempty"`   // RUN.STAGE.ATTEMPT, or RUN.STAGE.ITEM-ATTEMPT with items counted from 1
	PID      int      `json:"pid,omitempty"`
	Name     string   `json:"name,omitempty"`
	Needs    []string `json:"needs,omitempty"`
	Items    int      `json:"items,omitempty"` // 0: the stage runs once
	Lines    int      `json:"lines,omitempty"` // how many numbered lines the job will write
	Numbers  []int    `json:"numbers,omitempty"`
	Status   string   `json:"status,omitempty"`
	Attempts int      `json:"attempts,omitempty"`
	Exit     *int     `json:"exit,omitempty"` // nil: there is none
	Digest   string   `json:"digest,omitempty"`
	After    float64  `json:"after,omitempty"` // seconds
	Count    *Count   `json:"count,omitempty"`
}

// Count is what became of the items of a stage.
type Count struct {
	Total, Succeeded, Failed, Skipped, Cancelled int
}

func (f Fact) String() string {
	text, _ := json.Marshal(f)
	return string(text)
}

// History is what was observed, in the order in which it came to the file.
type History []Fact

// Log is the file that a history grows in. Jobs append to it by themselves, one
// line with one write, so its order is that of the events.
type Log struct {
	path string

	mu     sync.Mutex
	known  History // what was read already
	offset int64   // where the rest begins
}

// NewLog returns the log in the file at path, which it makes.
func NewLog(path string) (*Log, error) {
	return &Log{path: path}, os.WriteFile(path, nil, 0o600)
}

// Add appends facts, and fills in the time where there is none.
func (l *Log) Add(facts ...Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, f := range facts {
		if f.At == 0 {
			f.At = float64(time.Now().UnixMicro()) / 1e6
		}
		if _, err := file.WriteString(f.String() + "\n"); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}

// Read returns the history so far. The run of a job's facts is filled in.
func (l *Log) Read() (History, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(l.offset, io.SeekStart); err != nil {
		return nil, err
	}
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return slices.Clip(l.known), nil // what follows is not whole yet
		}
		if err != nil {
			return nil, err
		}
		var f Fact
		if err := json.Unmarshal(line, &f); err != nil {
			return nil, fmt.Errorf("%s: fact %d is none: %q: %w", l.path, len(l.known)+1, line, err)
		}
		if f.Job != "" {
			f.Run, _, _ = strings.Cut(f.Job, ".")
		}
		l.known = append(l.known, f)
		l.offset += int64(len(line))
	}
}
