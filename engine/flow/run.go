// Package flow says what a plan means: its interpreter takes each stage from waiting
// to its end. It asks all that it needs of a World, and nothing here reads a clock, a
// file, a random number or the order of a map.
//
// It also holds the workflows that Temporal replays. A change of what they ask of
// Temporal needs workflow.GetVersion: stored histories are replayed by a test.
package flow

import (
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
)

// The names that are part of every stored history. They never change.
const (
	Evaluate      = "amlflow.evaluate" // a local activity
	QueryProgress = "progress"
	SignalCancel  = "amlflow.cancel" // goes with every request to cancel the workflow
	// NotSucceeded marks the error of a run that ended failed; its details hold
	// the Progress.
	NotSucceeded = "amlflow.not-succeeded"
)

// Input is everything a run needs. No YAML is read after this.
type Input struct {
	Run    string            `json:"run"`
	Plan   plan.Plan         `json:"plan"`
	Store  string            `json:"store"`            // the artifact store
	Dir    string            `json:"dir,omitempty"`    // the workspace's folder, where its secrets are looked for
	Host   map[string]string `json:"host,omitempty"`   // see target.Job.Host
	Within string            `json:"within,omitempty"` // the stages around it, each with "/"
	Root   string            `json:"root,omitempty"`   // the run that this pipeline is part of; empty: it is one itself
	// Mark tells this beginning of a run from all others.
	Mark string `json:"mark,omitempty"`
	// PlanRef names the plan in the store; Plan is empty then.
	PlanRef target.Ref `json:"plan_ref,omitempty"`
	Secrets bool       `json:"secrets,omitempty"` // something is kept for the secrets of the run
	Begin   Snapshot   `json:"begin,omitzero"`    // what it keeps of an earlier run
	Resumed *Resumed   `json:"resumed,omitempty"` // nil: the run begins
	// Control is the task queue for what must not wait behind running jobs.
	Control string `json:"control"`
	// Stages is how many the plan has, those of pipelines within it included; zero when
	// nobody counted them.
	Stages int `json:"stages,omitempty"`
	// Alone says that one process is engine and worker: nobody else could go on with the
	// run while it lives.
	Alone bool `json:"alone,omitempty"`
}

// run is one execution of a plan.
type run struct {
	in       Input
	plan     *plan.Plan
	index    map[string]int // of a stage in plan.Stages and progress.Stages
	users    map[string][]int
	waits    []int // how many needs of a stage have not ended
	progress *Progress
	ended    []int // stages, as they end
	jobs     []workers.Finished
	fans     map[string]fanValues       // of stages that ran over several items
	done     map[string][]StageProgress // the items of those stages, all of them
	decided  map[string]Decision        // by the path of a stage within the run
	prefix   string                     // of those paths, for a pipeline inside of a run: "nested/"
	outer    *run                       // the run around it
	inner    map[string]*run            // pipelines inside of it, by the id of their run
	states   map[string]*State          // in which those begin
	ranOver  map[string][]any           // what stages run over, where the run decided it
	live     []int                      // stages that are followed on, though others need not wait for them any more
	released map[int]bool               // stages whose users do not wait for them any more

	given       map[string]any // instead of values, for the items of a stage
	givenFailed bool
}

func newRun(in Input, now time.Time) *run {
	r := &run{in: in, plan: &in.Plan, progress: newProgress(in, now), index: map[string]int{}, users: map[string][]int{}, fans: map[string]fanValues{}, done: map[string][]StageProgress{}, decided: map[string]Decision{}, inner: map[string]*run{}, states: map[string]*State{}, ranOver: map[string][]any{}, released: map[int]bool{}}
	for i, s := range r.plan.Stages {
		r.index[s.Name] = i
	}
	return r
}

// ownTurn waits for the turn of the whole run, when its pipeline asks for one.
func (r *run) ownTurn(w World) (release func(), err error) {
	g := r.plan.Group
	if g == nil {
		return func() {}, nil
	}
	r.progress.Turn = g.Name
	r.progress.Why = fmt.Sprintf("waits for its turn in the group %q", g.Name)
	release, err = w.Turn(g, "")
	if err != nil && w.Err() == nil {
		return release, err
	}
	r.progress.Why, r.progress.Turn = "", ""
	return release, nil
}

// carryOut does all of the plan.
func (r *run) carryOut(w World) {
	r.stages(w, false)
	// What is in `finally` runs whatever happened, also when the run is cancelled.
	last, abandon := w.Last()
	defer abandon()
	r.stages(last, true)
	away, release := w.Apart()
	defer release()
	r.outputs(away)
	r.conclude(w)
}

// link notes who waits for whom.
func (r *run) link() {
	r.waits = make([]int, len(r.plan.Stages))
	for i, s := range r.plan.Stages {
		if r.over(i) {
			continue // it may have ended before what it needed
		}
		for _, n := range s.Needs {
			if need := r.index[n.Stage]; s.Finally == r.plan.Stages[need].Finally && !r.over(need) {
				r.users[n.Stage] = append(r.users[n.Stage], i)
				r.waits[i]++
			}
		}
	}
}

// stages runs those of `finally`, or the others: each as soon as all that it
// needs has ended.
func (r *run) stages(w World, finally bool) {
	left := 0
	var ready []int
	for i, s := range r.plan.Stages {
		if s.Finally != finally || r.over(i) {
			continue
		}
		left++
		switch {
		case r.waits[i] > 0:
		case !r.progress.Stages[i].Started.IsZero(): // what is under way is followed at once
			r.begin(w, i)
		default:
			ready = append(ready, i)
		}
	}
	away, release := w.Apart() // a cancelled run still waits for its stages to end
	defer release()
	for left > 0 {
		for len(ready) > 0 && w.Room() {
			r.begin(w, ready[0])
			ready = ready[1:]
		}
		_ = away.Await(func() bool { return len(r.ended) > 0 || len(r.live) > 0 || len(ready) > 0 && w.Room() })
		for _, i := range r.live {
			ready = append(ready, r.release(i)...)
		}
		r.live = nil
		if len(r.ended) == 0 {
			continue
		}
		i := r.ended[0]
		r.ended, left = r.ended[1:], left-1
		ready = append(ready, r.release(i)...)
	}
}

// release has the users of a stage wait for it no longer, and returns those that wait
// for nothing any more.
func (r *run) release(i int) (ready []int) {
	if r.released[i] {
		return nil
	}
	r.released[i] = true
	for _, user := range r.users[r.plan.Stages[i].Name] {
		if r.waits[user]--; r.waits[user] == 0 {
			ready = append(ready, user)
		}
	}
	return ready
}

func (r *run) begin(w World, i int) {
	w.Go(func(w World) {
		r.stage(w, i)
		w.Touch(&r.progress.Stages[i])
		r.ended = append(r.ended, i)
	})
}

// over reports whether a stage had ended before this world began.
func (r *run) over(i int) bool { return r.progress.Stages[i].Status.Ended() }

// outputs evaluates the pipeline's own outputs; one whose stage did not run is
// left out.
func (r *run) outputs(w World) {
	texts := map[string]string{}
	for _, o := range r.plan.Outputs {
		if o.Expr == "" {
			r.progress.Outputs[o.Name] = o.Known
			continue
		}
		texts[o.Name] = o.Expr
	}
	if len(texts) == 0 {
		return
	}
	names := make([]string, len(r.plan.Stages))
	for i, s := range r.plan.Stages {
		names[i] = s.Name
	}
	got, err := w.Evaluate(Evaluation{Texts: texts, Lenient: true, Values: r.values(names)})
	if err != nil {
		r.progress.Error = "the pipeline's outputs could not be evaluated: " + err.Error()
		return
	}
	for _, o := range r.plan.Outputs {
		if v, ok := got.Results[o.Name]; ok {
			r.progress.Outputs[o.Name] = v
		}
	}
}

// conclude derives the state of the run from those of its stages.
func (r *run) conclude(w World) {
	r.progress.Status, r.progress.Ended = target.Succeeded, w.Now()
	for _, s := range r.progress.Stages {
		if s.Status == target.Failed || s.Status == target.Lost {
			r.progress.Status = target.Failed
		}
	}
	if w.Err() != nil {
		r.progress.Status = target.Cancelled
	}
}

// RecordOf returns the record carried by the error of a run that did not succeed.
func RecordOf(err error) (*Progress, bool) {
	var p Progress
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == NotSucceeded && app.Details(&p) == nil {
		return &p, true
	}
	var gone *temporal.CanceledError
	if errors.As(err, &gone) && gone.HasDetails() && gone.Details(&p) == nil {
		return &p, true
	}
	return nil, false
}
