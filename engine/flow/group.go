package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"
)

// GroupWorkflow is the one that gives those of a concurrency group their turns. There
// is one while anybody holds or waits for a turn.
const GroupWorkflow = "amlflow.group"

// The signals between runs and groups.
const (
	signalAsk   = "amlflow.group.ask"
	signalLeave = "amlflow.group.leave"
	signalTurn  = "amlflow.group.turn" // carries the key of a claim
	signalAlive = "amlflow.group.alive"
)

// QueryGroup asks a group for its GroupState.
const QueryGroup = "amlflow.group.state"

// Claim is somebody's wish to have a turn.
type Claim struct {
	Workflow string `json:"workflow"` // who wants it
	Key      string `json:"key"`      // for what
	Limit    int    `json:"limit"`    // how many may have a turn at once, as the claimant's plan says
}

func (c Claim) same(o Claim) bool { return c.Workflow == o.Workflow && c.Key == o.Key }

// GroupState is what a group remembers.
type GroupState struct {
	Name    string  `json:"name"`
	Turns   []Claim `json:"turns,omitempty"`   // of those that have one
	Waiting []Claim `json:"waiting,omitempty"` // in the order in which they came
}

// The bounds of a group's life: how long it stays with nothing to do, how often it
// looks whether those with a turn are still there, and after how many signals it
// begins a new history.
const (
	groupIdle  = 5 * time.Second
	groupLook  = 30 * time.Second
	groupEvery = 2000
)

// Group gives turns in the order in which they were asked for. A claimant that has
// ended without a word loses its turn.
func Group(ctx workflow.Context, g GroupState) error {
	if err := workflow.SetQueryHandler(ctx, QueryGroup, func() (GroupState, error) { return g, nil }); err != nil {
		return err
	}
	ask, leave := workflow.GetSignalChannel(ctx, signalAsk), workflow.GetSignalChannel(ctx, signalLeave)
	for signals := 0; ; {
		g.grant(ctx)
		pause := groupLook
		if len(g.Turns)+len(g.Waiting) == 0 {
			pause = groupIdle
		}
		timer, stop := workflow.WithCancel(ctx)
		late := false
		s := workflow.NewSelector(ctx)
		s.AddReceive(ask, func(c workflow.ReceiveChannel, _ bool) { var x Claim; c.Receive(ctx, &x); g.ask(x) })
		s.AddReceive(leave, func(c workflow.ReceiveChannel, _ bool) { var x Claim; c.Receive(ctx, &x); g.leave(x) })
		s.AddFuture(workflow.NewTimer(timer, pause), func(workflow.Future) { late = true })
		s.Select(ctx)
		stop()
		switch signals++; {
		case late && len(g.Turns)+len(g.Waiting) == 0:
			return nil
		case late:
			g.look(ctx)
		case signals >= groupEvery:
			g.drain(ask, leave)
			return workflow.NewContinueAsNewError(ctx, GroupWorkflow, g)
		}
	}
}

func (g *GroupState) ask(c Claim) {
	if !slices.ContainsFunc(g.Turns, c.same) && !slices.ContainsFunc(g.Waiting, c.same) {
		g.Waiting = append(g.Waiting, c)
	}
}

func (g *GroupState) leave(c Claim) {
	g.Turns = slices.DeleteFunc(g.Turns, c.same)
	g.Waiting = slices.DeleteFunc(g.Waiting, c.same)
}

// drain takes the signals that came before a new history begins.
func (g *GroupState) drain(ask, leave workflow.ReceiveChannel) {
	for c := (Claim{}); ask.ReceiveAsync(&c); c = (Claim{}) {
		g.ask(c)
	}
	for c := (Claim{}); leave.ReceiveAsync(&c); c = (Claim{}) {
		g.leave(c)
	}
}

// grant gives turns to those who waited longest, as far as there is room.
func (g *GroupState) grant(ctx workflow.Context) {
	for len(g.Waiting) > 0 && len(g.Turns) < max(g.Waiting[0].Limit, 1) {
		c := g.Waiting[0]
		g.Waiting = g.Waiting[1:]
		if workflow.SignalExternalWorkflow(ctx, c.Workflow, "", signalTurn, c.Key).Get(ctx, nil) == nil {
			g.Turns = append(g.Turns, c)
		}
	}
}

// look drops the turns of those who have gone.
func (g *GroupState) look(ctx workflow.Context) {
	for _, c := range slices.Clone(g.Turns) {
		if workflow.SignalExternalWorkflow(ctx, c.Workflow, "", signalAlive, c.Key).Get(ctx, nil) != nil {
			g.leave(c)
		}
	}
}

// acquire waits for the unit's turn in its group. It is false when there is none:
// then the unit's progress says why.
func (r *run) acquire(w World, u *unit) (release func(), ok bool) {
	g := u.place.Group
	if g == nil {
		return func() {}, true
	}
	before := u.p.Started
	u.p.Turn = g.Name
	u.p.Why = fmt.Sprintf(Turn+" in the group %q", g.Name)
	release, err := w.Turn(g, u.key())
	u.p.Why, u.p.Turn, u.p.Started = "", "", before
	switch {
	case w.Err() != nil:
		u.p.Status, u.p.Why = target.Cancelled, "the run was cancelled before it began"
	case err != nil:
		r.fail(w, u.p, target.CauseStart, fmt.Sprintf("it got no turn in the group %q: %s", g.Name, message(err)))
	}
	return release, err == nil
}

// turns are those that groups have given to a workflow.
type turns struct{ given map[string]bool } // by key; nil until the first is asked for

// take waits until the group says that it is the turn of key.
func (t *turns) take(ctx workflow.Context, g *plan.Group, key string) error {
	t.hear(ctx)
	if err := askGroup(ctx, groupID(ctx, g.Name), g.Name, claim(ctx, g, key)); err != nil {
		return err
	}
	err := workflow.Await(ctx, func() bool { return t.given[key] })
	if err != nil {
		t.giveBack(ctx, g, key)
	}
	return err
}

// giveBack lets another one have the turn.
func (t *turns) giveBack(ctx workflow.Context, g *plan.Group, key string) {
	away, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	delete(t.given, key)
	// When the group has gone there is nothing to give back.
	_ = workflow.SignalExternalWorkflow(away, groupID(ctx, g.Name), "", signalLeave, claim(ctx, g, key)).Get(away, nil)
}

func claim(ctx workflow.Context, g *plan.Group, key string) Claim {
	return Claim{Workflow: workflow.GetInfo(ctx).WorkflowExecution.ID, Key: key, Limit: g.Limit}
}

// askGroup asks the group for a turn, and begins it when it is not there. It may end
// between the two, so it is tried again.
func askGroup(ctx workflow.Context, id, name string, claim Claim) (err error) {
	info := workflow.GetInfo(ctx)
	for range 10 {
		if err = workflow.SignalExternalWorkflow(ctx, id, "", signalAsk, claim).Get(ctx, nil); err == nil || ctx.Err() != nil {
			return err
		}
		c := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID: id, WorkflowTaskTimeout: info.WorkflowTaskTimeout,
			ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		})
		err = workflow.ExecuteChildWorkflow(c, GroupWorkflow, GroupState{Name: name}).GetChildWorkflowExecution().Get(c, nil)
		if err != nil && !alreadyThere(err) {
			return err
		}
	}
	return err
}

// hear listens for turns from now on.
func (t *turns) hear(ctx workflow.Context) {
	if t.given != nil {
		return
	}
	t.given = map[string]bool{}
	given, alive := workflow.GetSignalChannel(ctx, signalTurn), workflow.GetSignalChannel(ctx, signalAlive)
	away, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(away, func(ctx workflow.Context) {
		for {
			s := workflow.NewSelector(ctx)
			s.AddReceive(given, func(c workflow.ReceiveChannel, _ bool) { var key string; c.Receive(ctx, &key); t.given[key] = true })
			s.AddReceive(alive, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
			s.Select(ctx)
		}
	})
}

// groupID is the workflow of a group.
func groupID(ctx workflow.Context, name string) string {
	return GroupID(workflow.GetInfo(ctx).TaskQueueName, name)
}

// GroupID is the id of the workflow of a group: one for each name and task queue.
func GroupID(queue, name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("amlflow-group-%s-%s", queue, hex.EncodeToString(sum[:8]))
}
