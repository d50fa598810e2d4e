// Package target is the contract between the engine and the machines it uses.
//
// A target is a named place where jobs run and endpoints live. A driver is the
// code that knows one kind of place. A driver keeps no state of its own: the id
// of a job is all that is needed to find it again, so any worker can carry on
// after another has died.
package target

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Target is one named place, as the workspace describes it.
type Target struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	Settings json.RawMessage `json:"settings,omitempty"` // checked against Kind.Settings; nil means none
}

// Kind describes a driver. It is constant for the life of the program.
type Kind struct {
	Name     string // "local", "ssh", "slurm": what a workspace writes as `kind`
	Summary  string // one line for people
	Settings []byte // JSON Schema (2020-12) of Target.Settings; what is secret in itself is writeOnly, and never shown
	// Afar says that what its targets keep cannot be seen without asking each by its name; see Sweeper.
	Afar bool
}

// Can says what one target offers beyond running a command on one machine.
// The plan refuses a stage that needs more, before anything runs.
type Can struct {
	Nodes  int  // the most machines one job may span; at least 1
	GPU    bool // jobs may ask for GPUs
	Images bool // jobs may run in a container image
	Launch bool // jobs may have a Launch, of every kind
	Python bool // jobs and deployments may ask for a Python environment
	Manage bool // the driver is a Manager: amlflow creates and resizes the target
	Serve  bool // the driver is a Server: models can be deployed here
	// Unserved is what to do when they cannot, though the driver is one: a sentence for people.
	Unserved string
	// Unequipped is what to do when a deployment can have no Python environment, though a job
	// can: a sentence for people.
	Unequipped string
	Route      bool // the driver is a Router: requests can be split between versions
	// Checkpoints: the driver is a Checkpointer, and jobs here may have checkpoints.
	Checkpoints bool
	// Memory and CPUs tell whether jobs are held to what they ask for.
	Memory, CPUs Hold
}

// Hold tells whether jobs are held to a limit.
type Hold string

// The ways to hold jobs to a limit.
const (
	HoldNever  Hold = ""       // nobody does
	HoldMaybe  Hold = "maybe"  // the machine decides; notes in the Status of a job tell when it is not
	HoldAlways Hold = "always" // every job is
)

// Driver runs jobs on one kind of target.
//
// The law: any call may come again, with the same arguments, from another
// process, at any time, and must do no harm. Methods return soon and do not
// wait for a job to end; they return early when ctx ends.
//
// "Your job failed" is a value (a Status); "we failed" is an error. An error
// that trying again cannot mend wraps ErrPermanent.
type Driver interface {
	// Kind describes the driver without touching any target.
	Kind() Kind
	// Can says what t offers, from its settings alone, without touching it.
	Can(t Target) Can
	// Check reports why t cannot be used now and what to do about it, or nil.
	Check(ctx context.Context, t Target) error
	// Submit starts job and returns once it is certain that the job will run or
	// has run. A second Submit of the same job.ID changes nothing, whatever
	// became of the first. A job whose Cancel came first never starts. Once its
	// program runs, the values of job.Secrets are kept nowhere.
	Submit(ctx context.Context, t Target, job Job, in Blobs) error
	// Status looks at a job once. A job that the target does not know, or no
	// longer knows, is Lost; that is not an error.
	Status(ctx context.Context, t Target, id string) (Status, error)
	// Read copies a stream of the job from byte offset on to w, as far as it has
	// been written, and returns the offset reached. A stream with nothing in it
	// yet is not an error. Offsets count what the job has written. A target may
	// leave out the middle of a long log; a line says so in its place, which counts
	// for nothing, and a follower goes on behind it.
	Read(ctx context.Context, t Target, id string, s Stream, offset int64, w io.Writer) (int64, error)
	// Collect stores what the job produced. It is called after the job succeeded,
	// and also after it failed, when outputs may be missing. Once it has returned,
	// the end of the job is as durable as what it stored.
	Collect(ctx context.Context, t Target, id string, out Blobs) (Results, error)
	// Cancel asks the job to stop: TERM, the job's grace, then KILL, for every
	// process that it started. It returns at once; Status tells when it is done: the
	// job is Cancelled then, or Failed when why is CausePreempted. Cancelling a job
	// that has ended changes nothing.
	Cancel(ctx context.Context, t Target, id string, why Cause) error
	// Clean removes all that Submit left behind on the target. It refuses a job
	// that is still running. Afterwards the job is Lost.
	Clean(ctx context.Context, t Target, id string) error
}

// ErrPermanent marks a failure that trying again cannot mend.
var ErrPermanent = errors.New("permanent")

// ErrUnreachable marks a failure to reach the target. It says nothing about the job,
// which may be running, and trying again once the target is reached mends it.
var ErrUnreachable = errors.New("unreachable")

// ErrUntouched marks a failure to submit, besides ErrUnreachable, that came before this
// call could have started anything. Where no other call did either, the job may go to
// another target. Without it, it may not: the job may be running.
var ErrUntouched = errors.New("nothing was started")

// Untouched marks err with ErrUntouched, and leaves its words as they are.
func Untouched(err error) error { return marked{err, ErrUntouched} }

// Unreachable marks err with ErrUnreachable, and leaves its words as they are.
func Unreachable(err error) error { return marked{err, ErrUnreachable} }

type marked struct {
	error
	as error
}

func (m marked) Unwrap() []error { return []error{m.error, m.as} }

// Job is one thing to run, with nothing left to resolve.
type Job struct {
	// ID is unique for ever: run, stage, item and attempt. It matches
	// ^[a-z0-9][a-z0-9._-]*$ and is at most 200 bytes long.
	ID string `json:"id"`
	// Exactly one of Script and Command is set. A Script is handed to the
	// target's shell as `sh -e`; a Command is executed as it is, without a shell.
	Script  string   `json:"script,omitempty"`
	Command []string `json:"command,omitempty"`
	// Env is what the job was declared to see, on top of what the contract sets.
	Env map[string]string `json:"env,omitempty"`
	// Secrets are variables like Env, whose values must not be kept: they are in no
	// JSON, a driver hands them to the job and to nothing else, and a Submit that
	// finds the job not yet started is given them again.
	Secrets map[string]string `json:"-"`
	// Environment is the software that the job finds; nil: what the target has.
	Environment *Environment `json:"environment,omitempty"`
	// Host is the part of the submitting shell's environment that a job on the
	// same computer starts from (PATH, HOME, LANG…). Targets elsewhere ignore it.
	Host map[string]string `json:"host,omitempty"`
	// Code is a tree that is the content of the working directory; empty: none.
	Code    Ref        `json:"code,omitempty"`
	Inputs  []Artifact `json:"inputs,omitempty"`
	Outputs []Artifact `json:"outputs,omitempty"` // Ref is empty: to be collected
	Needs   Resources  `json:"needs"`
	// Launch says how the ranks of the job begin; nil: one on each node. See Can.Launch.
	Launch *Launch `json:"launch,omitempty"`
	// Priority orders jobs that wait for the same target, the highest first; 0 is ordinary.
	// Targets without a queue ignore it.
	Priority int `json:"priority,omitempty"`
	// Checkpoint is where the job leaves what it could go on from; nil: it does not.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	// Models is the artifact store, by its path on this computer, whose registered models the
	// job may load by their names; empty: none. Targets elsewhere ignore it.
	Models string `json:"models,omitempty"`
	// Port is where the job listens, on the machine or in the container where it runs. A
	// target that keeps jobs apart makes it reachable from its own machine, and from no
	// other. 0: it does not listen.
	Port int `json:"port,omitempty"`
	// Timeout bounds the job's running time; zero means no bound.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Grace is the time between TERM and KILL when the job is stopped.
	Grace time.Duration `json:"grace,omitempty"`
}

// Environment is the software that a job asks for. Exactly one is set.
type Environment struct {
	Python *Python `json:"python,omitempty"`
	Image  string  `json:"image,omitempty"` // a container image; see Can.Images
}

// Python is a virtual environment, made once for each content on a target and used
// by every job that asks for the same.
type Python struct {
	Version      string   `json:"version,omitempty"`      // "3.11"; empty: the target's python3
	Requirements string   `json:"requirements,omitempty"` // what a requirements file says
	Packages     []string `json:"packages,omitempty"`     // requirements, one each: "numpy==2.1.0"
}

// Resources is what a job asks for; zero means that nothing was said.
type Resources struct {
	Nodes  int     `json:"nodes,omitempty"`
	CPUs   float64 `json:"cpus,omitempty"`   // cores of each node
	GPUs   int     `json:"gpus,omitempty"`   // of each node
	Memory int64   `json:"memory,omitempty"` // bytes of each node
}

// Artifact is a named file or folder: an input when Ref is set, else an output.
// A job finds an input at $AMLFLOW_INPUT_<NAME> and leaves an output at
// $AMLFLOW_OUTPUT_<NAME>; see EnvName.
type Artifact struct {
	Name string `json:"name"`
	Type string `json:"type"` // File, Folder or Model (a folder or a file)
	Ref  Ref    `json:"ref,omitempty"`
}

// The types of artifact.
const (
	File   = "file"
	Folder = "folder"
	Model  = "model" // a file or a folder that holds a trained model
)

// State is where a job is in its life.
type State string

// A job moves down this list and never back up.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	Lost      State = "lost" // the target no longer knows what became of it
)

// Ended reports whether s is final.
func (s State) Ended() bool { return s != Waiting && s != Running }

// Cause says in one word why a job did not succeed.
type Cause string

// The causes that a retry policy can name. Exit stands for any exit code.
const (
	CauseExit    Cause = "exit"
	CauseSignal  Cause = "signal"
	CauseOOM     Cause = "oom"
	CauseTimeout Cause = "timeout"
	CauseLost    Cause = "lost"
	// CausePreempted is that of a job whose machine was wanted for something else: the
	// job was asked to end, with TERM and its grace, and has failed. Cancel with this
	// cause brings it about.
	CausePreempted Cause = "preempted"
	CauseCancel    Cause = "cancelled"
	CauseStart     Cause = "start" // it could not be started at all
	// CauseCapacity: it could not be started for now, since the target has no room or
	// could not be reached.
	CauseCapacity Cause = "capacity"
	CauseSample   Cause = "sample" // a deployment started, and did not answer its sample as it must
)

// Status is one look at a job.
type Status struct {
	State State `json:"state"`
	// Exit is the exit code of the rank that decided the end, as its shell would
	// show it: 128+n when signal n ended it.
	Exit   int       `json:"exit"`
	Signal int       `json:"signal,omitempty"`
	Cause  Cause     `json:"cause,omitempty"`
	Rank   int       `json:"rank,omitempty"`   // the rank that decided the end
	Reason string    `json:"reason,omitempty"` // for people; empty while all is well
	Notes  []string  `json:"notes,omitempty"`  // for people: limits that this machine cannot enforce
	Start  time.Time `json:"start,omitzero"`
	End    time.Time `json:"end,omitzero"`
}

// Stream names something a job writes while it runs.
type Stream struct {
	Name string `json:"name"` // Log or Metrics
	Rank int    `json:"rank,omitempty"`
}

// The streams of a job.
const (
	Log     = "log"     // standard output and standard error, in the order written
	Metrics = "metrics" // what the job appends to $AMLFLOW_METRICS
)

// Results is what a job left behind. Outputs that are missing are absent.
type Results struct {
	Artifacts map[string]Ref  // by output name
	Values    json.RawMessage // the content of $AMLFLOW_OUTPUTS; nil when not written
	Metrics   []byte          // the content of $AMLFLOW_METRICS, JSON lines; of very much the last ones
	// History is all of $AMLFLOW_METRICS, stored as a log is; empty: Metrics has all of it.
	History Ref
	Log     Ref // the whole log of the rank that decided the end; see PutLog
	// Logs is a folder with the logs of all ranks, each under its number, of a job that
	// has several; empty: those of the others are on the target only.
	Logs Ref
	// Tracked is a folder with what the job has logged through the tracking API of MLflow,
	// of targets that offer it: runs.json, and the artifacts of each run in runs/<id>.
	Tracked Ref
}

// Blobs is where inputs come from and outputs go to: content by digest.
type Blobs interface {
	// Open returns the content of ref. Reading fails at the end when the content
	// does not have the digest it is named by.
	Open(ctx context.Context, ref Ref) (io.ReadCloser, error)
	// Put stores what r gives and returns its name. Storing the same content
	// twice gives the same name and keeps one copy.
	Put(ctx context.Context, r io.Reader) (Ref, error)
}

// Waiter is a driver that may hear of the end of a job, so that nobody has to ask
// for it again and again.
//
// The law: it is a hint and nothing more. A closed channel means "look now", and the
// look may still find the job running; a channel that stays open, or a nil one, on
// which one waits for ever, means nothing at all. So whoever follows a job takes the
// channel first, looks then, and looks again from time to time. In return the
// channel is closed soon after the end of a job that this very program has started.
type Waiter interface {
	Driver
	Wait(t Target, id string) <-chan struct{}
}
