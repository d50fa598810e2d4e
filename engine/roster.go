package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// roster is all runs of a state folder, of every engine that it has been used with,
// and the artifacts that those refer to which keep theirs.
type roster struct {
	runs  map[string]Summary
	until time.Time           // runs that ended earlier keep nothing
	refs  map[target.Ref]bool // that runs and endpoints refer to
	// since is when the first run began of which not everything can be told that it
	// refers to, less some grace: one that goes on, or whose record lacks items. What
	// was used since then is kept. It rests on this that whoever refers to content
	// marks it as used, see blob.Folder.
	since time.Time
	at    time.Time // when the list was made
	blind string    // why not all runs are known; "" when they are
}

// behind is how far the list of runs may be behind what happens.
const behind = 10 * time.Minute

// enroll lists the runs and reads what they refer to.
func (e *Engine) enroll(ctx context.Context, until time.Time, note func(string, ...any)) (*roster, error) {
	now := time.Now()
	r := &roster{runs: map[string]Summary{}, until: until, refs: map[target.Ref]bool{}, since: now, at: now}
	if err := r.from(ctx, e, note); err != nil {
		return nil, err
	}
	r.fromOthers(ctx, e, note)
	r.endpoints(ctx, e, note)
	return r, ctx.Err()
}

// fromOthers adds the runs of the other engines of this state folder.
func (r *roster) fromOthers(ctx context.Context, e *Engine, note func(string, ...any)) {
	seats, err := server.Seats(e.o.Home)
	if err != nil {
		r.blind = err.Error()
	}
	for _, seat := range seats {
		if seat.LogFile() == e.o.seat().LogFile() {
			continue
		}
		o := e.o
		o.External = seat.External
		if err := r.fromOther(ctx, o, note); err != nil {
			r.blind = fmt.Sprintf("this state folder has also been used with another engine, whose runs cannot be listed: %v", err)
		}
	}
}

func (r *roster) fromOther(ctx context.Context, o Options, note func(string, ...any)) error {
	other, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer other.Close()
	return r.from(ctx, other, note)
}

// from adds the runs of one engine.
func (r *roster) from(ctx context.Context, e *Engine, note func(string, ...any)) error {
	runs, err := e.all(ctx)
	if err != nil {
		return err
	}
	if err := r.schedules(ctx, e); err != nil {
		return err
	}
	plans := map[string]bool{}
	for _, s := range whole(runs) {
		r.runs[s.Run] = s
		if s.plan != "" {
			r.refs[s.plan] = true
		}
		if s.Status.Ended() {
			r.record(ctx, e, s)
		}
		if s.Status.Ended() && s.Ended.Before(r.until) {
			continue
		}
		if err := r.read(ctx, e, s, plans); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			note("run %s cannot be read, so that all artifacts stay that were used since it began: %v", s.Run, err)
			r.watchFrom(s)
		}
	}
	return nil
}

// schedules adds what the runs of schedules will need.
func (r *roster) schedules(ctx context.Context, e *Engine) error {
	all, err := e.Schedules(ctx)
	var none *serviceerror.Unimplemented
	if errors.As(err, &none) {
		return nil // an engine without schedules
	}
	for _, s := range all {
		blobs, err := blob.OpenFolder(s.given.Input.Store)
		if err != nil {
			return err
		}
		r.refs[s.given.Input.PlanRef] = true
		p, err := stretch.ReadPlan(ctx, blobs, s.given.Input.PlanRef)
		if err != nil {
			r.blind = fmt.Sprintf("what the schedule %q needs is not known: %v", s.Name, err)
			continue
		}
		r.mention(p.JSON())
	}
	return err
}

// whole makes one of the executions of each run, which may have several, one after
// the other: it began with the first, and is as the last one is.
func whole(executions []Summary) map[string]Summary {
	runs := map[string]Summary{}
	for _, s := range executions {
		if was, ok := runs[s.Run]; ok {
			began := earlier(s.Started, was.Started)
			if was.Started.After(s.Started) {
				s = was
			}
			s.Started = began
		}
		runs[s.Run] = s
	}
	return runs
}

// all lists every run of this state folder.
func (e *Engine) all(ctx context.Context) (out []Summary, err error) {
	q := fmt.Sprintf("WorkflowType IN ('%s', '%s') AND TaskQueue = '%s' AND ExecutionStatus != 'ContinuedAsNew'", flow.Workflow, flow.FirstWorkflow, e.Info().Queue)
	err = e.do(ctx, func(ctx context.Context, c client.Client) error {
		out = out[:0]
		for page := []byte(nil); ; {
			got, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: q, PageSize: 1000, NextPageToken: page})
			if err != nil {
				return err
			}
			for _, w := range got.GetExecutions() {
				out = append(out, summary(w))
			}
			if page = got.GetNextPageToken(); len(page) == 0 {
				return nil
			}
		}
	})
	return out, err
}

// refPattern finds names of content wherever they are written.
var refPattern = regexp.MustCompile(`(tree:)?sha256:[0-9a-f]{64}`)

func (r *roster) mention(text []byte) {
	for _, ref := range refPattern.FindAll(text, -1) {
		r.refs[target.Ref(ref)] = true
	}
}

// read notes what a run refers to: what it was given and, once it has ended, what is
// in its record. plans are those that were read already.
func (r *roster) read(ctx context.Context, e *Engine, s Summary, plans map[string]bool) error {
	if !s.Status.Ended() {
		r.watchFrom(s)
		return r.given(ctx, e, s.Run)
	}
	p, err := e.Progress(ctx, s.Run)
	if err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	r.mention(text)
	if !tellsAll(p) {
		r.watchFrom(s)
	}
	if plans[p.Plan] {
		return nil
	}
	plans[p.Plan] = true
	return r.given(ctx, e, s.Run)
}

// record keeps the record of a run that has ended, where it is in the store. Younger
// runs keep what it names, too.
func (r *roster) record(ctx context.Context, e *Engine, s Summary) {
	at, err := e.endOf(ctx, s.Run)
	if err != nil || at.None() {
		return // its history has all of it
	}
	for _, ref := range []target.Ref{at.Ref, at.Excerpt} {
		if ref != "" {
			r.refs[ref] = true
		}
	}
	if s.Ended.Before(r.until) {
		return
	}
	text := []byte(at.State)
	if at.Ref != "" {
		if text, err = readAll(ctx, at); err != nil {
			return // what it names is asked of the run itself
		}
	}
	r.mention(text)
}

// given notes what a run was given when it began: the code of its plan, and what its
// parameters name.
func (r *roster) given(ctx context.Context, e *Engine, run string) error {
	input, err := e.inputOf(ctx, run)
	if err != nil {
		return err
	}
	r.mention(input.GetData())
	p, err := e.planOf(ctx, run)
	if err != nil {
		return err
	}
	r.mention(p.JSON())
	return nil
}

// watchFrom keeps everything that was used since shortly before a run began.
func (r *roster) watchFrom(s Summary) {
	r.since = earlier(r.since, s.Started.Add(-blob.Grace))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// tellsAll reports whether the record of a run has every item of its stages: of very
// many, it has some.
func tellsAll(p *flow.Progress) bool {
	for i := range p.Stages {
		if !stageTellsAll(&p.Stages[i]) {
			return false
		}
	}
	return true
}

func stageTellsAll(s *flow.StageProgress) bool {
	if s.Count != nil && s.Count.Total > len(s.Items) {
		return false
	}
	for i := range s.Items {
		if !stageTellsAll(&s.Items[i]) {
			return false
		}
	}
	return s.Nested == nil || tellsAll(s.Nested)
}

// endpoints notes the models that are served. An endpoint that cannot be asked is
// served from its target's own copy, which a sweep does not touch.
func (r *roster) endpoints(ctx context.Context, e *Engine, note func(string, ...any)) {
	var places []target.Target
	for kind := range e.o.Drivers {
		places = append(places, target.Target{Kind: kind})
	}
	served, err := Endpoints(ctx, e.o.Drivers, places)
	for _, s := range served {
		if s.Model.Valid() {
			r.refs[s.Model] = true
		}
	}
	if err != nil {
		note("the models of some endpoints are not known to be in use: %v", err)
	}
}

// hold returns the digests of all content of a store that must stay: what runs,
// endpoints and young records refer to, with what is in folders.
func (r *roster) hold(ctx context.Context, b blob.Folder, young time.Time) (map[string]bool, error) {
	within := &roster{refs: map[target.Ref]bool{}}
	if err := b.Records(ctx, young, within.mention); err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, refs := range []map[target.Ref]bool{r.refs, within.refs} {
		for ref := range refs {
			held[ref.Hex()] = true
			all, err := target.Contents(ctx, b, ref)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil && !errors.Is(err, target.ErrPermanent) {
				return nil, err
			}
			for _, part := range all { // none of a folder that has gone, or is damaged: nobody can have it
				held[part.Hex()] = true
			}
		}
	}
	return held, nil
}

// doubt holds the list of runs against what targets keep: an engine that lists too few
// runs, because what it lists from is behind or broken, still knows each by its id.
func (r *roster) doubt(ctx context.Context, e *Engine, kept []target.Kept) error {
	asked := map[string]bool{}
	for _, k := range kept {
		run, _, _ := strings.Cut(k.Name, ".")
		fresh := !k.Used.Before(r.at.Add(-behind)) // of a run that may have begun since
		if _, listed := r.runs[run]; listed || fresh || asked[run] || k.What == target.KeptEnvironment || k.What == target.KeptContent || r.blind != "" {
			continue
		}
		asked[run] = true
		h, err := e.holder(ctx, run)
		if err != nil {
			return err
		}
		if h != nil {
			r.blind = fmt.Sprintf("the engine's list of runs lacks run %s, which it knows; try again later", run)
		}
	}
	return nil
}

// over reports whether the run that a job belongs to has ended long ago. One that no
// engine knows is judged by the job's age.
func (r *roster) over(job string, old bool) bool {
	run, _, _ := strings.Cut(job, ".")
	s, known := r.runs[run]
	if !known {
		return old && r.blind == ""
	}
	return s.Status.Ended() && s.Ended.Before(r.until)
}

// ended reports whether a run goes on no more. One that no engine knows is judged by
// the age of what it left.
func (r *roster) ended(run string, old bool) bool {
	s, known := r.runs[run]
	if !known {
		return old && r.blind == ""
	}
	return s.Status.Ended()
}
