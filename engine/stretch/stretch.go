// Package stretch carries runs on. A stretch is one activity: it goes on with a run
// from a state on record, does all that can be done, stage after stage and side by side,
// and ends once there is something to put on record. A job is found again by its id, so
// that a stretch that dies is simply done again: what it began is there already.
package stretch

import (
	"context"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/activity"
)

// Carrier is what all stretches of a process share.
type Carrier struct {
	Activities *workers.Activities
	Evaluate   func(context.Context, flow.Evaluation) (flow.Evaluated, error)

	mu     sync.Mutex
	clock  Clock
	under  map[string]map[*stretch]bool // by run
	slots  chan struct{}
	memory memory
}

// maxJobs is how many jobs one process follows at once; more wait their turn.
const maxJobs = 256

// New returns the carrier of a process.
func New(a *workers.Activities, evaluate func(context.Context, flow.Evaluation) (flow.Evaluated, error), c Clock) *Carrier {
	return &Carrier{Activities: a, Evaluate: evaluate, clock: c, under: map[string]map[*stretch]bool{}, slots: make(chan struct{}, maxJobs)}
}

// Register makes the activities known under their names.
func (c *Carrier) Register(r interface {
	RegisterActivityWithOptions(a any, o activity.RegisterOptions)
}) {
	r.RegisterActivityWithOptions(c.Stretch, activity.RegisterOptions{Name: flow.Stretch})
	r.RegisterActivityWithOptions(c.Nudge, activity.RegisterOptions{Name: flow.Nudge})
}

func (c *Carrier) slot(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Carrier) free() { <-c.slots }

// Nudge ends the stretches of a run soon, if there are any here.
func (c *Carrier) Nudge(_ context.Context, run string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.under[run] {
		select {
		case s.nudged <- struct{}{}:
		default:
		}
	}
	return nil
}

func (c *Carrier) enter(s *stretch) (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	run := s.in.Input.Run
	if c.under[run] == nil {
		c.under[run] = map[*stretch]bool{}
	}
	c.under[run][s] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.under[run], s); len(c.under[run]) == 0 {
			delete(c.under, run)
		}
	}
}

// stretch is one of them, under way.
type stretch struct {
	by          *Carrier
	in          flow.StretchInput
	blobs       target.Blobs
	ctx         context.Context // of what it does; ends with it
	loom        *loom
	interpreter *flow.Interpreter
	nudged      chan struct{}
	began       time.Time
	from        time.Time     // as began, by the run's clock
	cost        time.Duration // of a record, about: of putting down the last state, and of going on from it

	turns  map[string]bool
	wishes map[string]flow.Wish
	keep   bool      // somebody waits for what is known to be on record
	first  time.Time // when something happened that is not on record; zero: nothing did
	last   time.Time // when something did the last time
	done   bool      // the run has ended
	failed error     // or could not begin
	fresh  changes
	steps  map[string]step // of rollouts, by the path of their stage

	old     []workers.Finished // jobs of the state that it began with
	cleaned bool               // nothing of them is left
}

// Stretch carries a run on, until there is something to put on record.
func (c *Carrier) Stretch(ctx context.Context, in flow.StretchInput) (flow.Stretched, error) {
	if activity.GetInfo(ctx).Attempt > 1 {
		in.Unsure = true
	}
	called := time.Now()
	blobs, err := c.Activities.Store(in.Input.Store)
	if err != nil {
		return flow.Stretched{}, err
	}
	awake := alive(ctx)
	defer awake()
	if in.Input.PlanRef != "" {
		p, err := c.memory.plan(ctx, blobs, in.Input.PlanRef)
		if err != nil {
			return flow.Stretched{}, err
		}
		in.Input.Plan = *p
	}
	if in.Input.Plan.Version != plan.Version {
		return flow.Stretched{Error: "the plan was made by another version of amlflow"}, nil
	}
	state, cost, err := c.memory.state(ctx, blobs, in.From)
	if err != nil {
		return flow.Stretched{}, err
	}
	for _, ref := range passed(state, in) {
		forget(blobs, ref)
	}
	awake()
	s := &stretch{by: c, in: in, blobs: blobs, cost: cost, loom: newLoom(c.clock), nudged: make(chan struct{}, 1), turns: map[string]bool{}, wishes: map[string]flow.Wish{}, fresh: changes{}}
	defer c.enter(s)()
	for _, key := range in.Turns {
		s.turns[key] = true
	}
	return s.carry(ctx, state, called)
}

// carry goes on from a state; called is when the stretch was, which has been read since.
func (s *stretch) carry(ctx context.Context, state *flow.State, called time.Time) (flow.Stretched, error) {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(workers.Quiet(ctx, 1))
	defer cancel()
	s.began, s.from = time.Now(), s.loom.clock.Now()
	if state != nil {
		s.old, state.Jobs = state.Jobs, nil
	}
	if s.in.Decided == nil {
		s.in.Decided = map[string]flow.Decision{}
	}
	if state != nil && state.Progress != nil {
		s.steps = map[string]step{}
		s.seen(state.Progress, "")
	}
	s.interpreter = flow.NewInterpreter(s.in.Input, state, s.in.Decided, s.loom.clock.Now())
	s.cost += time.Since(called)
	go s.clean()
	of, end := context.WithCancel(context.Background())
	defer end()
	if s.in.Cancels > 0 {
		end()
	}
	s.loom.mu.Lock()
	s.loom.spin(func() {
		s.failed = s.interpreter.CarryOut(thread{of, s, s.interpreter})
		s.done = true
	})
	s.loom.mu.Unlock()
	return s.watch(ctx)
}

// watch waits until it is time to end the stretch.
func (s *stretch) watch(ctx context.Context) (flow.Stretched, error) {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	soon := time.NewTimer(beatFirst) // so that what has just begun is seen
	defer soon.Stop()
	for {
		nudged := false
		var later <-chan time.Time
		s.loom.mu.Lock()
		over, pause := s.over()
		if over {
			return s.end(ctx)
		}
		s.loom.mu.Unlock()
		if pause > 0 {
			later = time.After(pause)
		}
		select {
		case <-ctx.Done():
			s.loom.mu.Lock()
			s.loom.end()
			s.loom.mu.Unlock()
			return flow.Stretched{}, ctx.Err()
		case <-s.nudged:
			nudged = true
		case <-s.loom.stirred:
		case <-later:
		case <-soon.C:
			s.beat(ctx)
		case <-beat.C:
			s.beat(ctx)
		}
		if nudged {
			s.loom.mu.Lock()
			return s.end(ctx)
		}
	}
}

// The bounds of a stretch. It ends when nothing more has happened for a while, longer
// for one that has lasted longer, and at the latest a while after something did: so
// that many short stages share a record, and long ones are recorded at once.
const (
	quietLeast = 25 * time.Millisecond
	quietMost  = time.Second
	longest    = time.Second
	idleLeast  = time.Second // who waits for no longer than this waits here
)

// over decides whether the stretch ends now; if not, it may after pause, or when
// something happens. The caller holds the lock.
func (s *stretch) over() (over bool, pause time.Duration) {
	if s.done || s.keep {
		return true, 0
	}
	if s.in.Brief {
		return s.brief()
	}
	idle, wake := s.loom.idle()
	if idle && (wake.IsZero() || wake.Sub(s.loom.clock.Now()) > idleLeast) {
		return true, 0
	}
	if s.first.IsZero() {
		return false, 0
	}
	now := time.Now()
	quiet := min(max(now.Sub(s.began)/20, quietLeast), max(quietMost, s.cost))
	end := s.last.Add(quiet)
	// What is dear to put on record is so less often: it takes at most a tenth of the time.
	if latest := s.first.Add(max(longest, 10*s.cost)); latest.Before(end) {
		end = latest
	}
	return !now.Before(end), end.Sub(now)
}

// The bounds of a brief stretch, after which a run is no longer hoped to be over in a
// moment: since something happened in it, and in all.
const (
	briefQuiet = 250 * time.Millisecond
	briefMost  = time.Second
)

// brief decides whether a brief stretch ends now.
func (s *stretch) brief() (over bool, pause time.Duration) {
	if idle, _ := s.loom.idle(); idle {
		return true, 0
	}
	now, last := time.Now(), s.last
	if last.IsZero() {
		last = s.began
	}
	end := last.Add(briefQuiet)
	if latest := s.began.Add(briefMost); latest.Before(end) {
		end = latest
	}
	return !now.Before(end), end.Sub(now)
}

// end puts down how far the run has come. The caller holds the lock.
func (s *stretch) end(ctx context.Context) (flow.Stretched, error) {
	defer alive(ctx)()
	s.loom.end()
	out := flow.Stretched{Status: target.Running, Gates: s.interpreter.Gates(), Unsure: s.in.Unsure}
	out.Idle, out.Wake = s.loom.idle()
	out.Idle = out.Idle && !s.keep && !s.done
	for _, w := range s.wishes {
		out.Wishes = append(out.Wishes, w)
	}
	state := s.interpreter.State()
	state.Before, state.ExcerptBefore = s.in.From.Ref, s.in.From.Excerpt
	if !s.cleaned {
		state.Jobs = append(s.old[:len(s.old):len(s.old)], state.Jobs...)
	}
	if s.done {
		out.Status, out.Jobs = state.Progress.Status, state.Jobs
		state.Jobs = nil
		if s.failed != nil {
			out.Error = s.failed.Error()
		}
	}
	began := time.Now()
	w, err := write(state)
	s.loom.mu.Unlock()
	if err != nil {
		return flow.Stretched{}, err
	}
	if out.To, err = w.keep(ctx, s.blobs, s.in.Input.Store); err == nil {
		s.by.memory.remember(out.To.Ref, remembered{state, s.in.Input.Run, time.Since(began)})
	}
	return out, err
}

// clean removes what jobs have left whose results are on record.
func (s *stretch) clean() {
	if len(s.old) > 0 {
		if err := s.by.Activities.Clean(s.ctx, s.old); err != nil {
			return // the next stretch tries again
		}
	}
	s.loom.mu.Lock()
	s.cleaned = true
	s.loom.mu.Unlock()
}

// report notes that something happened that belongs on record. The caller holds the
// lock.
func (s *stretch) report() {
	s.last = time.Now()
	if s.first.IsZero() {
		s.first = s.last
	}
}

func (s *stretch) touch(path string, p *flow.StageProgress) {
	s.fresh.note(path, p)
	if p.Status.Ended() || p.Approval != nil || p.Status == target.Waiting || s.moved(path, p) {
		s.report()
	}
}

// moved reports whether a rollout has come further since it was told of the last time:
// new figures alone are not worth a record.
func (s *stretch) moved(path string, p *flow.StageProgress) bool {
	if p.Rollout == nil {
		return false
	}
	now := step{p.Rollout.Phase, p.Rollout.Step, p.Rollout.Split}
	if s.steps[path] == now {
		return false
	}
	if s.steps == nil {
		s.steps = map[string]step{}
	}
	s.steps[path] = now
	return true
}

// seen notes how far the rollouts of a run have come that are on record.
func (s *stretch) seen(p *flow.Progress, prefix string) {
	for i := range p.Stages {
		one := &p.Stages[i]
		s.moved(prefix+one.Name, one)
		if one.Nested != nil {
			s.seen(one.Nested, prefix+one.Name+"/")
		}
	}
}

// step is how far a rollout has come.
type step struct {
	phase flow.Phase
	step  int
	split string
}

// checkpoint puts on record what another attempt of a stage may begin from.
func (s *stretch) checkpoint(t thread, p *flow.StageProgress, ref target.Ref) {
	s.loom.mu.Lock()
	defer s.loom.mu.Unlock()
	if s.loom.ended {
		return
	}
	p.Checkpoint = ref
	s.fresh.note(t.interpreter.Prefix()+p.Name, p)
	s.report()
	s.loom.stir()
}

// queued says of a stage that was handed to its target why it does not run there yet.
func (s *stretch) queued(t thread, p *flow.StageProgress, why string) {
	if why != "" {
		why = flow.Queued + why
	}
	s.note(t, p, why)
}

// note says of a stage what somebody could not do for it.
func (s *stretch) note(t thread, p *flow.StageProgress, why string) {
	s.loom.mu.Lock()
	defer s.loom.mu.Unlock()
	if s.loom.ended {
		return
	}
	p.Why = why
	s.fresh.note(t.interpreter.Prefix()+p.Name, p)
}
