package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The names that are part of the histories of runs. They never change.
const (
	Workflow = "amlflow.run.v2"
	// Stretch is the activity that carries a run on, as far as it comes in a while.
	Stretch = "amlflow.stretch"
	// Nudge is the activity that has a stretch come to its end soon, because there is
	// something that it does not know yet.
	Nudge = "amlflow.nudge"
)

// StretchInput is what a stretch of a run needs.
type StretchInput struct {
	Input   Input               `json:"input"`
	From    Snapshot            `json:"from"` // where it begins
	Decided map[string]Decision `json:"decided,omitempty"`
	Turns   []string            `json:"turns,omitempty"`   // that the run has, by key
	Cancels int                 `json:"cancels,omitempty"` // how often somebody wished the run to end
	Unsure  bool                `json:"unsure,omitempty"`  // a worker was lost, and what it began may not be on record
	Brief   bool                `json:"brief,omitempty"`   // ends in a moment, whatever is under way
}

// Snapshot is a State, or the name under which it is kept in a store. Neither is set
// before anything has happened.
type Snapshot struct {
	State json.RawMessage `json:"state,omitempty"`
	Ref   target.Ref      `json:"ref,omitempty"`
	Store string          `json:"store,omitempty"` // the store that has Ref
	// Excerpt is kept there, too, for whoever does not need all of a very large state.
	// Where it is missing, the state tells all that it would.
	Excerpt target.Ref `json:"excerpt,omitempty"`
}

// None reports whether nothing has happened yet.
func (s Snapshot) None() bool { return s.State == nil && s.Ref == "" }

// Stretched is how far a stretch came.
type Stretched struct {
	To     Snapshot           `json:"to"`
	Status target.State       `json:"status"`           // of the run
	Jobs   []workers.Finished `json:"jobs,omitempty"`   // of a run that has ended: to be cleaned
	Gates  []Gate             `json:"gates,omitempty"`  // stages that wait for people, or will
	Wishes []Wish             `json:"wishes,omitempty"` // turns that are wanted, or used
	// Idle tells that nothing is under way. Until Wake (zero: for ever) nothing will be,
	// unless somebody decides something.
	Idle   bool      `json:"idle,omitempty"`
	Wake   time.Time `json:"wake,omitzero"`
	Unsure bool      `json:"unsure,omitempty"`
	Error  string    `json:"error,omitempty"` // why the run could not even begin
}

// Gate is a stage that asks people.
type Gate struct {
	Path   string       `json:"path"` // of the stage within the run
	By     []string     `json:"by,omitempty"`
	Plan   string       `json:"plan"` // the digest of the plan that it is in
	Status target.State `json:"status"`
}

// Wish is a turn in a concurrency group that something of the run wants or has.
type Wish struct {
	Key   string     `json:"key"`
	Group plan.Group `json:"group"`
}

// Standing is the answer to QueryProgress: how the run stands, as far as is on record.
type Standing struct {
	Input Input    `json:"input"`
	At    Snapshot `json:"at"`
}

// Heard is what a stretch under way tells with each sign of life: stages that have
// changed since the last record, by their path within the run.
type Heard struct {
	Stages map[string]StageProgress `json:"stages"`
}

// Resumed is where a run goes on under a new history.
type Resumed struct {
	Got     Stretched           `json:"got"`
	Decided map[string]Decision `json:"decided,omitempty"`
	Cancels int                 `json:"cancels,omitempty"`
	Turns   []Wish              `json:"turns,omitempty"` // that it has
}

// carrier is the workflow of a run. It knows nothing of stages: it has them carried on,
// stretch by stretch, and keeps what came of the last one.
type carrier struct {
	in      Input
	got     Stretched
	decided map[string]Decision
	cancels int
	spot    bool // the run was over in a moment
	news    int  // grows with each thing that a stretch should know
	known   int  // what news was when the last stretch began
	turns   turns
	held    map[string]Wish                // by key: turns that the run has
	asked   map[string]workflow.CancelFunc // those that it waits for
}

// Carry carries out a plan. It returns the snapshot of its end; that of a run that
// failed is in the details of an error of type NotSucceeded.
func Carry(ctx workflow.Context, in Input) (Snapshot, error) {
	c := &carrier{in: in, decided: map[string]Decision{}, held: map[string]Wish{}, asked: map[string]workflow.CancelFunc{}}
	c.in.Resumed = nil
	away, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	c.resume(away, in.Resumed)
	if err := c.answer(ctx); err != nil {
		return Snapshot{}, err
	}
	c.hear(ctx)
	if err := c.begin(away); err != nil {
		return Snapshot{}, err
	}
	for !c.got.Status.Ended() {
		if err := c.stretch(away); err != nil {
			return Snapshot{}, err
		}
		if c.long(ctx) {
			return Snapshot{}, workflow.NewContinueAsNewError(ctx, Workflow, c.again())
		}
		c.rest(away)
	}
	return c.finish(away)
}

// finish does what is left to do for a run that has ended.
func (c *carrier) finish(away workflow.Context) (Snapshot, error) {
	for _, key := range sortedNames(c.held) {
		c.giveBack(away, key)
	}
	end := &run{in: c.in, jobs: c.got.Jobs}
	if c.spot {
		end.cleanHere(away)
	} else {
		end.clean(away)
	}
	if c.in.Secrets {
		end.forgetAll(away)
	}
	return c.end()
}

// answer tells how the run stands, and takes what people decide.
func (c *carrier) answer(ctx workflow.Context) error {
	stands := func() (Standing, error) { return Standing{Input: c.in, At: c.got.To}, nil }
	if err := workflow.SetQueryHandler(ctx, QueryProgress, stands); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateDecide,
		func(_ workflow.Context, d Decision) error {
			if _, again := c.decided[d.Stage]; !again {
				c.decided[d.Stage] = d
				c.news++
			}
			return nil
		},
		workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, d Decision) error { return c.mayDecide(d) }})
}

// hear counts the wishes to cancel the run: the second one ends `finally`, too.
// Temporal tells a workflow only once that it is cancelled, so that each wish also
// comes as a signal.
func (c *carrier) hear(ctx workflow.Context) {
	wishes := workflow.GetSignalChannel(ctx, SignalCancel)
	away, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(away, func(away workflow.Context) {
		for {
			wishes.Receive(away, nil)
			c.cancels++
			c.news++
		}
	})
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		if c.cancels == 0 {
			c.cancels++
			c.news++
		}
	})
}

// fewStages is how many a run has that may be over in a moment.
const fewStages = 16

// firstTask is how many events there are when a workflow is looked at for the first time.
const firstTask = 3

// begin tries to carry a small run out on the spot, as a part of the first look at its
// workflow: all that Temporal has to keep for an activity is half of what a run of a few
// short stages costs. What the stretch does not get done is left to others.
//
// Nobody can tell the run anything before the look has ended, and if its worker is lost,
// the next look begins seconds later: so this is done for a moment only, and once. A second
// look may find things begun that are on no record.
func (c *carrier) begin(ctx workflow.Context) error {
	if c.in.Stages == 0 || c.in.Stages > fewStages || c.in.Resumed != nil {
		return nil
	}
	if again := workflow.GetInfo(ctx).GetCurrentHistoryLength() > firstTask; again || c.news > 0 {
		c.got.Unsure = again
		return nil
	}
	in := StretchInput{Input: c.in, From: c.got.To, Decided: c.decided, Brief: true}
	here := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	var got Stretched
	if err := workflow.ExecuteLocalActivity(here, Stretch, in).Get(ctx, &got); err != nil {
		c.got.Unsure = true
		return nil // another stretch tries again, and says why it cannot
	}
	if got.Error != "" {
		return temporal.NewNonRetryableApplicationError(got.Error, "begin", nil)
	}
	c.got = got
	c.spot = got.Status.Ended()
	// It took so long that there was a second look.
	c.got.Unsure = workflow.GetInfo(ctx).GetCurrentHistoryLength() > firstTask
	c.settleTurns(ctx)
	return nil
}

// silence is how long the worker of a stretch may give no sign of life before another one
// gets it. On a busy machine that can be long, and a stretch that is given up by mistake is
// done twice: its jobs are found, but not what it had learned of them. Each stage adds
// to it, since the state of a hundred thousand stages is read and written for seconds.
// Where one process is engine and worker, its successor knows that it has died.
func (c *carrier) silence() time.Duration {
	if c.in.Alone {
		return silenceAlone
	}
	return workers.Heartbeat + time.Duration(c.in.Stages)*silenceMore
}

const (
	silenceAlone = 30 * time.Second
	silenceMore  = 250 * time.Microsecond
)

// stretch carries the run on. When there is news meanwhile, the stretch is nudged,
// again and again: the worker that has it may have died.
func (c *carrier) stretch(ctx workflow.Context) error {
	c.known = c.news
	in := StretchInput{Input: c.in, From: c.got.To, Decided: c.decided, Turns: sortedNames(c.held), Cancels: c.cancels, Unsure: c.got.Unsure}
	o := following
	o.HeartbeatTimeout = c.silence()
	if c.cancels > 0 {
		o.TaskQueue = c.in.Control
	}
	under := workflow.WithActivityOptions(ctx, o)
	f := workflow.ExecuteActivity(under, Stretch, in)
	_ = workflow.Await(ctx, func() bool { return f.IsReady() || c.news != c.known })
	for pause := 500 * time.Millisecond; !f.IsReady(); pause = min(2*pause, time.Minute) {
		o := workflow.ActivityOptions{TaskQueue: c.in.Control, ScheduleToCloseTimeout: 10 * time.Second}
		_ = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), Nudge, c.in.Run)
		if in, _ := workflow.AwaitWithTimeout(ctx, pause, f.IsReady); in {
			break
		}
	}
	var got Stretched
	if err := f.Get(ctx, &got); err != nil {
		return err
	}
	if got.Error != "" {
		return temporal.NewNonRetryableApplicationError(got.Error, "begin", nil)
	}
	c.got = got
	c.settleTurns(ctx)
	return nil
}

// rest waits while there is nothing to do.
func (c *carrier) rest(ctx workflow.Context) {
	if !c.got.Idle || c.got.Status.Ended() {
		return
	}
	there := func() bool { return c.news != c.known }
	if c.got.Wake.IsZero() {
		_ = workflow.Await(ctx, there)
		return
	}
	_, _ = workflow.AwaitWithTimeout(ctx, max(c.got.Wake.Sub(workflow.Now(ctx)), 0), there)
}

// settleTurns asks for the turns that are wanted, and gives back those that are not
// needed any more.
func (c *carrier) settleTurns(ctx workflow.Context) {
	wanted := map[string]bool{}
	for _, w := range c.got.Wishes {
		wanted[w.Key] = true
		if _, has := c.held[w.Key]; !has && c.asked[w.Key] == nil {
			c.ask(ctx, w)
		}
	}
	for _, key := range sortedNames(c.asked) {
		if !wanted[key] {
			c.asked[key]()
			delete(c.asked, key)
		}
	}
	for _, key := range sortedNames(c.held) {
		if !wanted[key] {
			c.giveBack(ctx, key)
		}
	}
}

func (c *carrier) giveBack(ctx workflow.Context, key string) {
	w := c.held[key]
	delete(c.held, key)
	c.turns.giveBack(ctx, &w.Group, key)
}

// ask waits for a turn.
func (c *carrier) ask(ctx workflow.Context, w Wish) {
	waiting, stop := workflow.WithCancel(ctx)
	c.asked[w.Key] = stop
	workflow.Go(waiting, func(ctx workflow.Context) {
		for c.turns.take(ctx, &w.Group, w.Key) != nil {
			if workflow.Sleep(ctx, time.Second) != nil {
				return // it is not wanted any more
			}
		}
		if ctx.Err() != nil { // it came in the same moment
			c.turns.giveBack(ctx, &w.Group, w.Key)
			return
		}
		delete(c.asked, w.Key)
		c.held[w.Key] = w
		c.news++
	})
}

// The bounds of one history. A workflow is read again from its beginning when a worker
// takes it up, so that they are far below what Temporal allows.
const (
	maxEvents  = 4000
	maxHistory = 8 << 20 // bytes
)

// long reports whether the history has become so long that a new one is begun.
func (c *carrier) long(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return len(c.asked) == 0 && !c.got.Status.Ended() && (info.GetCurrentHistoryLength() > maxEvents || info.GetCurrentHistorySize() > maxHistory)
}

// again is what the next history begins with.
func (c *carrier) again() Input {
	in := c.in
	in.Resumed = &Resumed{Got: c.got, Decided: c.decided, Cancels: c.cancels}
	for _, key := range sortedNames(c.held) {
		in.Resumed.Turns = append(in.Resumed.Turns, c.held[key])
	}
	return in
}

func (c *carrier) resume(ctx workflow.Context, was *Resumed) {
	if was == nil {
		c.got.Status, c.got.To = target.Running, c.in.Begin
		return
	}
	c.got, c.cancels = was.Got, was.Cancels
	if was.Decided != nil {
		c.decided = was.Decided
	}
	for _, w := range was.Turns {
		c.held[w.Key] = w
		c.turns.hear(ctx)
	}
}

// end is the workflow's result.
func (c *carrier) end() (Snapshot, error) {
	switch c.got.Status {
	case target.Succeeded:
		return c.got.To, nil
	case target.Cancelled:
		return c.got.To, temporal.NewCanceledError(c.got.To)
	}
	return c.got.To, temporal.NewNonRetryableApplicationError("run "+string(c.got.Status), NotSucceeded, nil, c.got.To)
}

// EndOf returns the snapshot carried by the error of a run that did not succeed.
func EndOf(err error) (s Snapshot, ok bool) {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == NotSucceeded && app.Details(&s) == nil {
		return s, true
	}
	var gone *temporal.CanceledError
	if errors.As(err, &gone) && gone.HasDetails() && gone.Details(&s) == nil {
		return s, true
	}
	return s, false
}

func (c *carrier) mayDecide(d Decision) error {
	i := slices.IndexFunc(c.got.Gates, func(g Gate) bool { return g.Path == d.Stage })
	if i < 0 {
		return refuse(NotWaiting, "the run has no stage %q that waits for a person%s", d.Stage, c.whoWaits())
	}
	g := c.got.Gates[i]
	before, answered := c.decided[d.Stage]
	switch {
	case d.Plan != g.Plan:
		return refuse(Conflict, "the run's plan is %s, and what was %s is %s", g.Plan, d.verb(), d.Plan)
	case len(g.By) > 0 && !slices.Contains(g.By, d.By):
		return refuse(NotAllowed, "%q may not decide about stage %q: %s may", d.By, d.Stage, strings.Join(g.By, ", "))
	case answered && before.Approve != d.Approve:
		return refuse(Conflict, "stage %q was %s already, by %s", d.Stage, before.verb(), before.By)
	case !answered && g.Status != target.Running:
		return refuse(NotWaiting, "stage %q does not wait for anyone: it is %s", d.Stage, g.Status)
	}
	return nil
}

func (c *carrier) whoWaits() string {
	var names []string
	for _, g := range c.got.Gates {
		if _, answered := c.decided[g.Path]; g.Status == target.Running && !answered {
			names = append(names, g.Path)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(": %s does", strings.Join(names, ", "))
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
