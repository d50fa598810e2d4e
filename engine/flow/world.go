package flow

import (
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// World is all that the interpreter of a plan asks of the place where it runs. Only
// one of a world's threads is ever at work: each goes on until it asks the world for
// something that takes time, so that what they share needs no lock.
//
// There are two: the workflow that Temporal replays, for runs that versions before
// stretches have begun, and a stretch (see package stretch).
type World interface {
	// Err tells that this part of the run is being cancelled.
	Err() error
	Now() time.Time
	// Apart is this world for what goes on when the run is cancelled.
	Apart() (w World, release func())
	// Last is this world for `finally`, which a second cancel ends.
	Last() (w World, release func())
	// Go begins another thread.
	Go(f func(World))
	// Room tells that another stage may be begun now: of very many that are ready,
	// some wait, so that they take no memory.
	Room() bool
	// Await returns when condition holds, which only other threads bring about, or
	// with the reason why nobody waits any longer.
	Await(condition func() bool) error
	// AwaitFor is Await that gives up after a time; ok tells that condition holds.
	AwaitFor(limit time.Duration, condition func() bool) (ok bool, err error)
	Sleep(d time.Duration) error

	// Evaluate answers what may not be worked out here.
	Evaluate(e Evaluation) (Evaluated, error)
	// Rechoose tells that a unit may go to another target when it is tried again.
	Rechoose() bool
	// Choose takes the first of several targets that can be used now.
	Choose(targets []target.Target) (workers.Choice, error)
	// Gather makes one folder of a list of artifacts.
	Gather(g workers.Gathering) (target.Ref, error)
	// Attempt has a worker do something and undo it when the run is cancelled.
	Attempt(t Task) workers.Outcome
	// Undo ends what Attempt may have begun, and says what became of it.
	Undo(t Task) workers.Outcome
	// Route moves the requests to an endpoint and looks at it, also when the run is
	// cancelled. It tries until that is done; an error is one that trying again cannot
	// mend.
	Route(q workers.Routing, p *StageProgress) (workers.Routed, error)
	// Pipeline carries out a plan inside of this run, and returns its record.
	Pipeline(in Input, u Unit) (*Progress, error)
	// Turn waits for a turn in a concurrency group, for key.
	Turn(g *plan.Group, key string) (release func(), err error)
	// Wide tells how many items of a stage are done here; more are left to Items.
	Wide() int
	// Items does a part of a stage's many items elsewhere.
	Items(name string, in ItemsInput) ([]ItemResult, error)

	// Keep returns once all that was decided so far is on record, whatever happens.
	Keep()
	// Unsure tells that things may have been started that are not on record.
	Unsure() bool
	// Touch notes that something about a stage has changed that people want to know.
	Touch(p *StageProgress)
}

// Task is something that a worker does.
type Task struct {
	ID       string         // of the job or deployment
	Do, Undo string         // activities
	Work     any            // their argument
	Progress *StageProgress // of the unit that it is for
	// Heard is called with the metrics of the job behind the byte that From gives, as they
	// come, while no thread is at work. It asks nothing of the world. nil: nobody listens.
	Heard func([]workers.Report)
	From  func() int64
}

// Unit names what a pipeline inside of a run is for.
type Unit struct {
	Name     string // of the workflow, behind that of the run around it
	Progress *StageProgress
}
