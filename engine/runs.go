package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// Errors that a caller may want to tell apart.
var (
	ErrNotFound  = errors.New("no such run")
	ErrAmbiguous = errors.New("several runs")
)

// Request is a plan to run.
type Request struct {
	Plan  *plan.Plan
	Store string            // the artifact store that holds the plan's code
	Dir   string            // the workspace's folder; its secrets are looked for there
	Host  map[string]string // see target.Job.Host
	// Secrets is what GatherSecrets took; nil: nothing.
	Secrets *secrets.Envelope
	// Begin is what the run keeps of an earlier one; nil: nothing. See Retry.
	Begin *flow.State
	// Key is the idempotency key: the run that has it already is taken for this one;
	// see Keyed. Empty: none.
	Key string
}

// idPrefix is what flow.RunWorkflowID puts before the id of a run.
const idPrefix = "amlflow-"

// Start begins a run and returns its id. Once it has returned, the run goes on
// whatever happens to this process or to the server.
func (e *Engine) Start(ctx context.Context, r Request) (string, error) {
	if err := e.claim(r.Store); err != nil {
		return "", err
	}
	in, err := e.input(ctx, r)
	if err != nil {
		return "", err
	}
	if r.Key != "" {
		return e.startKeyed(ctx, r, in)
	}
	for {
		id := NewID()
		err := r.Secrets.Seal(e.o.Home, id)
		if errors.Is(err, fs.ErrExist) {
			continue // the id of another run
		}
		if err != nil {
			return "", fmt.Errorf("keep the secrets of the run: %w", err)
		}
		err = e.do(ctx, func(ctx context.Context, c client.Client) error { return e.start(ctx, c, id, r, in) })
		var taken *serviceerror.WorkflowExecutionAlreadyStarted
		switch {
		case errors.As(err, &taken):
			// Perhaps it is this very run: a server that dies may not say that it began.
			h, err := e.holder(ctx, id)
			if err != nil {
				return "", err
			}
			if h == nil || h.mark != in.Mark {
				continue // the id of another run
			}
		case err != nil:
			return "", err
		}
		e.sweep(ctx)
		return id, nil
	}
}

// NewID makes an id that no run has, as far as chance goes.
func NewID() string { return strings.ToLower(rand.Text()[:8]) }

// input is what a run begins with. Its plan is kept in the store, where everything else
// that the run needs is: there is no bound on its size, and Temporal reads it but once.
func (e *Engine) input(ctx context.Context, r Request) (flow.Input, error) {
	in := flow.Input{
		Mark: rand.Text(), Store: r.Store, Dir: r.Dir, Host: r.Host, Secrets: len(flow.Secrets(r.Plan, r.Dir)) > 0,
		Control: e.Info().ControlQueue(), Stages: stages(r.Plan), Alone: e.o.External == nil,
	}
	blobs, err := blob.OpenFolder(r.Store)
	if err != nil {
		return in, err
	}
	if in.PlanRef, err = stretch.KeepPlan(ctx, blobs, r.Plan); err == nil && r.Begin != nil {
		in.Begin, err = stretch.KeepState(ctx, blobs, r.Store, r.Begin)
	}
	return in, err
}

func (e *Engine) start(ctx context.Context, c client.Client, id string, r Request, in flow.Input) error {
	in.Run = id
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: idPrefix + id, TaskQueue: e.Info().Queue, WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		// When the server dies while it decides what comes next, the run stands
		// still, and does not answer, for this long.
		WorkflowTaskTimeout: workers.Heartbeat,
		Memo:                memo(r, in),
	}, flow.Workflow, in)
	return err
}

// stages counts those of a plan, and of the pipelines within it.
func stages(p *plan.Plan) int {
	n := len(p.Stages)
	for i := range p.Stages {
		if inner := p.Stages[i].Nested; inner != nil {
			n += stages(inner.Plan)
		}
	}
	return n
}

// state is that of a run, as Temporal has it.
func (e *Engine) state(ctx context.Context, id string) (s target.State, err error) {
	err = e.do(ctx, func(ctx context.Context, c client.Client) error {
		d, err := c.DescribeWorkflowExecution(ctx, idPrefix+id, "")
		s = stateOf(d.GetWorkflowExecutionInfo().GetStatus())
		return named(id, err)
	})
	return s, err
}

// Progress returns a run as it stands.
func (e *Engine) Progress(ctx context.Context, id string) (*flow.Progress, error) {
	x, err := e.look(ctx, id, false)
	return x.Progress, err
}

// Glance returns a run as it stands or, if it has very many stages, an excerpt of it, which
// takes no longer than that of a small one.
func (e *Engine) Glance(ctx context.Context, id string) (flow.Excerpt, error) {
	return e.look(ctx, id, true)
}

func (e *Engine) look(ctx context.Context, id string, brief bool) (x flow.Excerpt, err error) {
	err = e.do(ctx, func(ctx context.Context, c client.Client) error {
		d, err := c.DescribeWorkflowExecution(ctx, idPrefix+id, "")
		if err != nil {
			return named(id, err)
		}
		info := d.GetWorkflowExecutionInfo()
		first := info.GetType().GetName() == flow.FirstWorkflow
		switch open := info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING; {
		case open && first:
			if x.Progress, err = query(ctx, c, idPrefix+id); err == nil {
				note(x.Progress, d.GetPendingActivities())
				inside(ctx, c, x.Progress)
			}
		case open:
			if x, err = e.standing(ctx, c, idPrefix+id, brief); err == nil {
				hear(x, d.GetPendingActivities())
				x.Progress = e.turns(ctx, c, x.Progress)
			}
		default:
			x, err = e.record(ctx, c, id, brief)
		}
		return err
	})
	return x, err
}

func query(ctx context.Context, c client.Client, workflow string) (*flow.Progress, error) {
	v, err := ask(ctx, c, workflow, flow.QueryProgress)
	if err != nil {
		return nil, err
	}
	var p *flow.Progress
	return p, v.Get(&p)
}

// inside adds to a run the pipelines that its stages are running now. One that does
// not answer is left out.
func inside(ctx context.Context, c client.Client, p *flow.Progress) {
	add := func(s *flow.StageProgress) {
		if s.Child == "" {
			return
		}
		if inner, err := query(ctx, c, s.Child); err == nil && inner != nil {
			inside(ctx, c, inner)
			s.Nested = inner
		}
	}
	for i := range p.Stages {
		add(&p.Stages[i])
		for j := range p.Stages[i].Items {
			add(&p.Stages[i].Items[j])
		}
	}
}

// note says of a stage what Temporal knows and the workflow does not: that a
// worker tried something and could not.
func note(p *flow.Progress, pending []*workflow.PendingActivityInfo) {
	if p == nil {
		return
	}
	waiting := map[string]*workflow.PendingActivityInfo{}
	for _, a := range pending {
		if f := a.GetLastFailure(); f.GetMessage() != "" && f.GetTimeoutFailureInfo() == nil {
			waiting[a.GetActivityId()] = a
		}
	}
	say := func(s *flow.StageProgress) {
		if a, ok := waiting[s.Job]; ok && s.Status == target.Running {
			s.Why = fmt.Sprintf("trying again (%d times so far): %s", a.GetAttempt()-1, a.GetLastFailure().GetMessage())
		}
	}
	for i := range p.Stages {
		say(&p.Stages[i])
		for j := range p.Stages[i].Items {
			say(&p.Stages[i].Items[j])
		}
	}
}

// record is what a closed run left behind, or an excerpt of it.
func (e *Engine) record(ctx context.Context, c client.Client, id string, brief bool) (x flow.Excerpt, _ error) {
	d, err := c.DescribeWorkflowExecution(ctx, idPrefix+id, "")
	if err != nil {
		return x, named(id, err)
	}
	kind := d.GetWorkflowExecutionInfo().GetType().GetName()
	var end json.RawMessage
	err = c.GetWorkflow(ctx, idPrefix+id, "").Get(ctx, &end)
	if x, err := recordIn(ctx, kind, end, err, brief); x.Progress != nil || err != nil {
		return x, err
	}
	var closed *temporal.WorkflowExecutionError
	if !errors.As(err, &closed) {
		return x, named(id, err)
	}
	// It was ended from outside, so it could not write its record.
	if kind == flow.FirstWorkflow {
		x.Progress, err = query(ctx, c, idPrefix+id)
	} else {
		x, err = e.standing(ctx, c, idPrefix+id, brief)
	}
	if err != nil {
		return x, err
	}
	x.Progress.Status, x.Progress.Error = target.Failed, "the run was ended from outside: "+closed.Unwrap().Error()
	return x, nil
}

// Between two looks at a run, Watch waits this many times as long as the last look
// took, but never longer than maxPause for it.
const (
	shareOfLooks = 20
	maxPause     = 5 * time.Second
)

// Watch calls changed with the run as it stands now and after every change, and
// returns its record once it has ended. A run outlives the absence of its engine,
// so an engine that does not answer is waited for as long as ctx lasts.
func (e *Engine) Watch(ctx context.Context, id string, changed func(*flow.Progress)) (*flow.Progress, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = e.do(ctx, func(ctx context.Context, c client.Client) error {
			return c.GetWorkflow(ctx, idPrefix+id, "").Get(ctx, nil)
		})
	}()
	var p *flow.Progress
	// A short run is over before anybody could have read how it stands. The record of
	// a very large one takes a moment to read, and looking must not slow the run down.
	var took time.Duration
	for pause := 40 * time.Millisecond; ; pause = max(min(pause*5/4, 250*time.Millisecond), min(shareOfLooks*took, maxPause)) {
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-closed:
			closed = nil // if it is not true, the next looks will tell
		case <-time.After(pause):
		}
		began := time.Now()
		now, err := e.Progress(ctx, id)
		if err == nil && now.Status != target.Running {
			if now, err = e.final(ctx, id, changed); err == nil {
				return now, nil
			}
		}
		switch {
		case err == nil:
			p = now
			changed(p)
			took = time.Since(began)
		case ctx.Err() != nil:
			return p, ctx.Err()
		case !errors.Is(err, cluster.ErrUnreachable):
			return nil, err
		}
	}
}

// final waits until the run has closed: it may still be cleaning up.
func (e *Engine) final(ctx context.Context, id string, changed func(*flow.Progress)) (*flow.Progress, error) {
	var x flow.Excerpt
	err := e.do(ctx, func(ctx context.Context, c client.Client) (err error) {
		x, err = e.record(ctx, c, id, false)
		return err
	})
	if err == nil {
		changed(x.Progress)
	}
	return x.Progress, err
}

// Cancel asks a run to stop and returns at once. Asked again, the run does not
// finish what is in `finally` either. A run that has ended is left as it is.
func (e *Engine) Cancel(ctx context.Context, id string) error {
	return e.do(ctx, func(ctx context.Context, c client.Client) error {
		err := c.SignalWorkflow(ctx, idPrefix+id, "", flow.SignalCancel, nil)
		if err == nil {
			err = c.CancelWorkflow(ctx, idPrefix+id, "")
		}
		var none *serviceerror.NotFound
		if errors.As(err, &none) {
			_, err = c.DescribeWorkflowExecution(ctx, idPrefix+id, "")
		}
		return named(id, err)
	})
}

// Summary is one line about a run.
type Summary struct {
	Run      string       `json:"run"`
	Pipeline string       `json:"pipeline"`
	Status   target.State `json:"status"`
	Started  time.Time    `json:"started"`
	Ended    time.Time    `json:"ended,omitzero"`
	Schedule string       `json:"schedule,omitempty"` // that began it
	Due      time.Time    `json:"due,omitzero"`       // the time of the schedule

	plan target.Ref // in the store; empty for runs of before
}

// List returns the newest runs of this state folder, newest first; most is at
// most 1,000.
func (e *Engine) List(ctx context.Context, most int) ([]Summary, error) {
	return e.list(ctx, "", most)
}

func (e *Engine) list(ctx context.Context, prefix string, most int) (out []Summary, err error) {
	q := fmt.Sprintf("WorkflowType IN ('%s', '%s') AND TaskQueue = '%s' AND ExecutionStatus != 'ContinuedAsNew'", flow.Workflow, flow.FirstWorkflow, e.Info().Queue)
	if prefix != "" {
		q += fmt.Sprintf(" AND WorkflowId STARTS_WITH '%s'", idPrefix+prefix)
	}
	err = e.do(ctx, func(ctx context.Context, c client.Client) error {
		got, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: q, PageSize: int32(min(most, 1000))})
		if err != nil {
			return err
		}
		out = out[:0]
		for _, w := range got.GetExecutions() {
			out = append(out, summary(w))
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b Summary) int { return b.Started.Compare(a.Started) })
	return out, err
}

func summary(w *workflow.WorkflowExecutionInfo) Summary {
	s := Summary{Run: strings.TrimPrefix(w.GetExecution().GetWorkflowId(), idPrefix), Started: w.GetStartTime().AsTime(), Status: stateOf(w.GetStatus())}
	if t := w.GetCloseTime(); t != nil {
		s.Ended = t.AsTime()
	}
	memo := w.GetMemo().GetFields()
	_ = converter.GetDefaultDataConverter().FromPayload(memo["pipeline"], &s.Pipeline)
	if p, ok := memo["schedule"]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(p, &s.Schedule)
		_ = converter.GetDefaultDataConverter().FromPayload(memo["scheduled"], &s.Due)
	}
	_ = converter.GetDefaultDataConverter().FromPayload(memo["started"], &s.Started) // a later history of the run began later
	_ = converter.GetDefaultDataConverter().FromPayload(memo["plan_ref"], &s.plan)
	return s
}

func stateOf(s enums.WorkflowExecutionStatus) target.State {
	switch s {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return target.Running
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return target.Succeeded
	case enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return target.Cancelled
	}
	return target.Failed
}

// Find returns the id of the run that ref means: an id, a prefix that only one
// run has, or "@last" for the newest.
func (e *Engine) Find(ctx context.Context, ref string) (string, error) {
	prefix := strings.ToLower(ref)
	if ref == "@last" {
		prefix = ""
	} else if !target.ValidID(prefix) {
		return "", fmt.Errorf("%w: %q is not the id of a run", ErrNotFound, ref)
	}
	runs, err := e.list(ctx, prefix, 20)
	switch {
	case err != nil:
		return "", err
	case len(runs) == 0:
		return e.exact(ctx, prefix, ref)
	case ref == "@last" || len(runs) == 1 || slices.ContainsFunc(runs, func(s Summary) bool { return s.Run == prefix }):
		if ref != "@last" && len(runs) > 1 {
			return prefix, nil
		}
		return runs[0].Run, nil
	}
	var ids []string
	for _, s := range runs {
		ids = append(ids, s.Run)
	}
	return "", fmt.Errorf("%w begin with %q: %s; write more letters", ErrAmbiguous, ref, strings.Join(ids, ", "))
}

// exact asks for a run that the list may not show yet: it lags a little behind.
func (e *Engine) exact(ctx context.Context, id, ref string) (string, error) {
	err := fmt.Errorf("%w: there has been none yet", ErrNotFound)
	if id != "" {
		err = e.do(ctx, func(ctx context.Context, c client.Client) error {
			_, err := c.DescribeWorkflowExecution(ctx, idPrefix+id, "")
			return named(ref, err)
		})
	}
	return id, err
}

// named says which run was not found.
func named(ref string, err error) error {
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return fmt.Errorf("%w: %q; `amlflow ps` lists the runs", ErrNotFound, ref)
	}
	return err
}
