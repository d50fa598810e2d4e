package docker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/api/types/container"
)

// The labels of what belongs to a job.
const (
	labelJob       = "amlflow.job"       // of everything: the job's id
	labelOwner     = "amlflow.owner"     // of everything: which state folder it belongs to
	labelRecord    = "amlflow.record"    // of a container: a record
	labelContainer = "amlflow.container" // of a mark: the container that may be started
	labelPort      = "amlflow.port"      // of the container of an instance: where it listens
	labelCause     = "amlflow.cause"     // of a wish
	labelAt        = "amlflow.at"        // of a wish: when, by the engine's clock
	labelAsked     = "amlflow.asked"     // of a wish: when, by the clock of who asked
)

// The folder of a job in its container, and what is in it.
const (
	root        = "/amlflow"
	codeDir     = root + "/code"               // the working directory
	inDir       = root + "/in"                 // inputs, by name
	outDir      = root + "/out"                // outputs, by name
	tmpDir      = root + "/tmp"                // $TMPDIR
	homeDir     = root + "/home"               // $HOME
	reportDir   = root + "/report"             // what the job reports to, and nothing else
	valuesFile  = reportDir + "/outputs.json"  // $AMLFLOW_OUTPUTS
	metricsFile = reportDir + "/metrics.jsonl" // $AMLFLOW_METRICS
	scriptFile  = root + "/script"             // what the stage says under `run`
	startFile   = root + "/start"              // start.sh, and what it runs
)

// The folder of start.sh, and what is in it.
const (
	lifeDir       = root + "/life"
	secretsFile   = lifeDir + "/secrets"   // variables; gone before the program runs
	logFile       = lifeDir + "/log"       // what the program wrote to standard output and standard error
	unstartedFile = lifeDir + "/unstarted" // the program could not be executed
	overtimeFile  = lifeDir + "/overtime"  // the timeout passed while no worker looked
	memoryFile    = lifeDir + "/oom"       // the kernel killed a part of the job for want of memory
	exitFile      = lifeDir + "/exit"      // the program ended by itself, or by a signal
	cutFile       = lifeDir + "/cut"       // which part of the log was left out
	endsFile      = lifeDir + "/ends"      // of several ranks: "RANK STATUS", in the order of their ends
)

// record is what is known of a job without its files. It is public to whoever may talk
// to the engine, so it has no variables in it.
type record struct {
	Outputs []target.Artifact `json:"outputs,omitempty"`
	Timeout time.Duration     `json:"timeout,omitempty"`
	Grace   time.Duration     `json:"grace,omitempty"`
	Memory  int64             `json:"memory,omitempty"`
	Ranks   int               `json:"ranks,omitempty"` // 0: one
	Log     int64             `json:"log,omitempty"`   // how many bytes of a log are kept; 0: all
	// GPUs are how many of the Of that the engine has are lent to the job.
	GPUs int `json:"gpus,omitempty"`
	Of   int `json:"of,omitempty"`
	// Checkpoint is where rank 0 leaves what it could go on from.
	Checkpoint *target.Checkpoint `json:"checkpoint,omitempty"`
	Program    string             `json:"program,omitempty"` // the first word of the command; empty: a script
	Asked      string             `json:"asked"`             // the image as it was asked for
	Image      string             `json:"image"`             // the image that runs, by digest
	Bare       bool               `json:"bare,omitempty"`    // it runs without start.sh
	// Confided tells that the job was given secrets.
	Confided bool `json:"confided,omitempty"`
}

func recordOf(c container.InspectResponse) (r record, err error) {
	if c.Config == nil {
		return r, fmt.Errorf("container %q has no labels", c.Name)
	}
	if err = json.Unmarshal([]byte(c.Config.Labels[labelRecord]), &r); err != nil {
		err = fmt.Errorf("the label %q of container %q is no record of a job: %w", labelRecord, c.Name, err)
	}
	return r, err
}

// markName names the volume that says which container may be started.
func markName(id string) string { return "amlflow-" + id }

// wishName names the volume that says that the job is to end. No id has capitals.
func wishName(id string) string { return markName(id) + "-STOP" }

// containerName names a container that only who knows the token may start.
func containerName(id, token string) string { return markName(id) + "-" + token }
