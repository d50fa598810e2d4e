package flow

import (
	"maps"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// State is how far a run has come: all that its interpreter must know to go on in
// another process.
type State struct {
	Progress *Progress `json:"progress"`
	// Items are those of stages that run over many, by the name of the stage; those of
	// few are in the progress.
	Items map[string][]StageProgress `json:"items,omitempty"`
	// Lists are what stages run over, where the run decided it.
	Lists map[string][]any `json:"lists,omitempty"`
	// Jobs have ended, and what they left on their targets is no longer needed once
	// this state is on record.
	Jobs []workers.Finished `json:"jobs,omitempty"`
	// Before is the state that the stretch began from which ended in this one, if that is
	// in the artifact store.
	Before        target.Ref `json:"before,omitempty"`
	ExcerptBefore target.Ref `json:"excerpt_before,omitempty"` // the excerpt of that
	// Inner are the states of the pipelines that stages run, by the id of their run;
	// their progress is that of their stage.
	Inner map[string]*State `json:"inner,omitempty"`
}

// Interpreter carries out a plan. All that it does is decided by the plan, by the state
// in which it begins, by the decisions of people, and by what its world answers.
type Interpreter struct{ run *run }

// NewInterpreter goes on from a state; nil: the run begins. Decisions are those that
// people made, by the path of the stage.
func NewInterpreter(in Input, s *State, decided map[string]Decision, now time.Time) *Interpreter {
	r := newRun(in, now)
	r.decided = decided
	r.resume(s)
	return &Interpreter{r}
}

func (r *run) resume(s *State) {
	if s == nil {
		return
	}
	if s.Progress != nil {
		fresh := r.progress
		if r.progress = s.Progress; s.Progress.Run == "" { // it keeps results of another run, and begins now
			r.progress.Run, r.progress.Started, r.progress.Store = fresh.Run, fresh.Started, fresh.Store
		}
	}
	r.jobs = s.Jobs
	maps.Copy(r.done, s.Items)
	maps.Copy(r.ranOver, s.Lists)
	maps.Copy(r.states, s.Inner)
	for i := range r.plan.Stages {
		st, p := &r.plan.Stages[i], &r.progress.Stages[i]
		if st.Fan == nil || p.Count == nil {
			continue
		}
		if len(p.Items) == p.Count.Total && p.Count.Total <= inline {
			r.done[st.Name] = p.Items
		}
		if all := r.done[st.Name]; p.Status == target.Succeeded {
			r.fans[st.Name] = r.listsOf(st, r.itemsOf(st), all)
		}
	}
}

// itemsOf is what a stage runs over, once it has begun.
func (r *run) itemsOf(s *plan.Stage) []plan.Item {
	values, late := r.ranOver[s.Name]
	if !late {
		return s.Fan.Items
	}
	items := make([]plan.Item, len(values))
	for i, v := range values {
		items[i].Value = v
	}
	return items
}

// CarryOut does what is left of the plan. It returns when the run has ended.
func (i *Interpreter) CarryOut(w World) error { return i.run.wholly(w) }

func (r *run) wholly(w World) error {
	r.link()
	release, err := r.ownTurn(w)
	if err != nil {
		return err
	}
	defer release()
	r.carryOut(w)
	return nil
}

// Inside is the interpreter of a pipeline that a stage of this run runs; p is the
// stage's progress.
func (i *Interpreter) Inside(in Input, p *StageProgress, prefix string, now time.Time) *Interpreter {
	r := newRun(in, now)
	r.decided, r.outer, r.prefix = i.run.decided, i.run, prefix
	s := i.run.states[in.Run]
	if s == nil {
		s = &State{}
	}
	if s.Progress = p.Nested; s.Progress != nil && s.Progress.Run != in.Run {
		s.Progress = nil // of an attempt before
	}
	r.resume(s)
	p.Nested = r.progress
	i.run.inner[in.Run] = r
	return &Interpreter{r}
}

// Leave forgets what only a pipeline inside of this run needed, once it has ended.
func (i *Interpreter) Leave(run string) {
	delete(i.run.inner, run)
	delete(i.run.states, run)
}

// State is how far the run has come. It shares what changes with the interpreter.
func (i *Interpreter) State() *State {
	s := i.run.state()
	s.Progress, s.Jobs = i.run.progress, i.run.jobs
	return s
}

func (r *run) state() *State {
	s := &State{Items: map[string][]StageProgress{}, Lists: r.ranOver, Inner: map[string]*State{}}
	for name, all := range r.done {
		if len(all) > inline { // else they are in the progress
			s.Items[name] = all
		}
	}
	for run, inner := range r.inner {
		s.Inner[run] = inner.state()
	}
	return s
}

// Prefix stands before the names of this pipeline's stages to make paths of them.
func (i *Interpreter) Prefix() string { return i.run.prefix }

// finished notes a job whose results are known.
func (r *run) finished(j workers.Finished) {
	top := r
	for top.outer != nil {
		top = top.outer
	}
	top.jobs = append(top.jobs, j)
}

// Gates are the stages that ask people, of the pipelines that are under way.
func (i *Interpreter) Gates() []Gate { return i.run.gates(nil) }

func (r *run) gates(all []Gate) []Gate {
	for i, s := range r.plan.Stages {
		if s.Approve != nil {
			all = append(all, Gate{Path: r.prefix + s.Name, By: s.Approve.By, Plan: r.plan.Digest, Status: r.progress.Stages[i].Status})
		}
	}
	for _, run := range sortedNames(r.inner) {
		all = r.inner[run].gates(all)
	}
	return all
}

// NewProgress is a run of which nothing has happened yet.
func NewProgress(in Input, now time.Time) *Progress { return newProgress(in, now) }
