// Package dummy is a target for tests of what drives targets: its jobs run
// nothing, they come out as their scripts say.
//
// A script is a list of steps, one a line or joined by "then". $NAME stands for
// the value of an environment variable or a secret of the job.
//
//	ok                     succeed (also at the end of a script that says nothing else)
//	fail 3                 exit with this code
//	signal 9               be ended by this signal
//	oom                    run out of memory
//	unstarted              be a command that does not exist
//	lost                   be forgotten by the target
//	slow 200ms             go on for this long
//	hang                   go on until cancelled, or until Release
//	log some words         write a line to the log
//	outputs {"n": 3}       write values
//	metrics {"loss": 0.5}  append a metric
//	artifact data text     leave a file as the output data
//	fail-submit            refuse the submission for good
//	fail-submit 2          fail the first two submissions, then accept
//
// For example `log hello then slow 50ms then fail 3`.
package dummy

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

//go:embed settings.schema.json
var settingsSchema []byte

// Driver is a target.Driver whose jobs live in memory, for all its targets. It
// may be used by many at once. Create one with New.
type Driver struct {
	mu     sync.Mutex
	jobs   map[string]*job
	order  []string
	starts map[string]int
	tries  map[string]int
	before map[string]target.Cause // cancelled before they were submitted
	clean  map[string]bool
	times  map[string][2]time.Time
	served map[string]*served // endpoints, by name
	made   int                // keys
}

// job is one that was accepted.
type job struct {
	target.Job
	script script
	start  time.Time
	end    time.Time // when hang was released or the job was cancelled; zero: neither
	why    target.Cause
}

var _ target.Driver = (*Driver)(nil)

// New returns a driver that knows no jobs.
func New() *Driver {
	return &Driver{jobs: map[string]*job{}, starts: map[string]int{}, tries: map[string]int{}, before: map[string]target.Cause{}, clean: map[string]bool{}, times: map[string][2]time.Time{}}
}

// Starts tells how often the job id was started: 0 or 1 for a correct engine.
func (d *Driver) Starts(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.starts[id]
}

// Submissions tells how often Submit was called for the job id.
func (d *Driver) Submissions(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tries[id]
}

// Jobs returns what was started, in that order.
func (d *Driver) Jobs() []target.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []target.Job
	for _, id := range d.order {
		all = append(all, d.jobs[id].Job)
	}
	return all
}

// Times tells for each job that was started when it began, and when its script ends.
func (d *Driver) Times() map[string][2]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.times)
}

// Release lets the job id, which hangs, come to its end.
func (d *Driver) Release(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[id]; j != nil && j.end.IsZero() {
		j.end = time.Now()
	}
}

// settings is what a workspace may say about a target; see settings.schema.json.
type settings struct {
	Nodes  int    `json:"nodes"`
	GPU    bool   `json:"gpu"`
	Python bool   `json:"python"`
	Serve  bool   `json:"serve"`
	Broken string `json:"broken"`
}

func readSettings(t target.Target) (settings, error) {
	s := settings{Nodes: 1}
	if len(t.Settings) == 0 {
		return s, nil
	}
	err := json.Unmarshal(t.Settings, &s)
	return s, err
}

// Kind implements target.Driver.
func (d *Driver) Kind() target.Kind {
	return target.Kind{Name: "dummy", Summary: "scripted jobs, for tests", Settings: settingsSchema}
}

// Can implements target.Driver.
func (d *Driver) Can(t target.Target) target.Can {
	s, _ := readSettings(t)
	return target.Can{Nodes: max(s.Nodes, 1), GPU: s.GPU, Python: s.Python, Serve: s.Serve, Route: s.Serve}
}

// Check implements target.Driver.
func (d *Driver) Check(_ context.Context, t target.Target) error {
	s, err := readSettings(t)
	if err == nil && s.Broken != "" {
		err = errors.New(s.Broken)
	}
	return err
}

// Submit implements target.Driver.
func (d *Driver) Submit(_ context.Context, t target.Target, j target.Job, _ target.Blobs) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries[j.ID]++
	if d.jobs[j.ID] != nil || d.clean[j.ID] || d.before[j.ID] != "" {
		return nil
	}
	s, err := parse(j)
	if err != nil {
		return fmt.Errorf("job %q: %w: %w", j.ID, err, target.ErrPermanent)
	}
	if s.refuse {
		return fmt.Errorf("job %q is refused, as its script says: %w", j.ID, target.ErrPermanent)
	}
	if d.tries[j.ID] <= s.failures {
		return fmt.Errorf("submission %d of job %q fails, as its script says", d.tries[j.ID], j.ID)
	}
	d.starts[j.ID]++
	now := time.Now()
	d.jobs[j.ID], d.times[j.ID] = &job{Job: j, script: s, start: now}, [2]time.Time{now, now.Add(s.slow)}
	d.order = append(d.order, j.ID)
	return nil
}

// Cancel implements target.Driver.
func (d *Driver) Cancel(_ context.Context, t target.Target, id string, why target.Cause) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	j := d.jobs[id]
	if j == nil {
		if d.before[id] == "" && !d.clean[id] {
			d.before[id] = why
		}
		return nil
	}
	if !j.status().State.Ended() {
		j.why, j.end = why, time.Now()
	}
	return nil
}

// Clean implements target.Driver.
func (d *Driver) Clean(_ context.Context, t target.Target, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[id]; j != nil && !j.status().State.Ended() {
		return fmt.Errorf("clean job %q: it is still running", id)
	}
	// What was started stays in Jobs: a test may ask after the run was cleaned.
	if d.jobs[id] != nil || d.before[id] != "" {
		d.clean[id] = true
	}
	return nil
}

// Status implements target.Driver.
func (d *Driver) Status(_ context.Context, t target.Target, id string) (target.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch j := d.jobs[id]; {
	case d.clean[id]:
	case j != nil:
		return j.status(), nil
	case d.before[id] != "":
		return ended(d.before[id]), nil
	}
	return target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "the target knows no such job"}, nil
}

// Read implements target.Driver. Only rank 0 writes anything.
func (d *Driver) Read(_ context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	d.mu.Lock()
	var text string
	if j := d.jobs[id]; j != nil && !d.clean[id] && s.Rank == 0 {
		text = map[string]string{target.Log: j.script.log, target.Metrics: j.script.metrics}[s.Name]
	}
	d.mu.Unlock()
	if s.Name != target.Log && s.Name != target.Metrics {
		return offset, fmt.Errorf("there is no stream %q: %w", s.Name, target.ErrPermanent)
	}
	if offset >= int64(len(text)) {
		return offset, nil
	}
	n, err := io.WriteString(w, text[offset:])
	return offset + int64(n), err
}

// Collect implements target.Driver.
func (d *Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	d.mu.Lock()
	j := d.jobs[id]
	d.mu.Unlock()
	if j == nil {
		return target.Results{}, nil
	}
	return j.script.results(ctx, j.Outputs, out)
}
