package workers

import (
	"encoding/json"
	"time"

	"github.com/amlflow/amlflow/workers/batch"
	"github.com/amlflow/amlflow/workers/target"
)

// Submission is a job, the place it goes to, and what it promised to leave.
type Submission struct {
	Store  string        `json:"store"` // the artifact store of the run
	Target target.Target `json:"target"`
	Job    target.Job    `json:"job"`
	// Values and Metrics are declared by the stage: name to type ("integer",
	// "number", "string", "boolean", "list").
	Values  map[string]string `json:"values,omitempty"`
	Metrics map[string]string `json:"metrics,omitempty"`
	// Secrets are fetched by the worker, just before the job is submitted.
	Secrets []Secret `json:"secrets,omitempty"`
	Cache   *Cache   `json:"cache,omitempty"` // nil: results of earlier runs are not used
	// Batch tells that the job scores a batch; nil: it does something else.
	Batch *batch.Spec `json:"batch,omitempty"`
	// Models are outputs that the registry keeps; nil: none.
	Models *Registration `json:"models,omitempty"`
	// GoesOn tells that another job may go on from this one's checkpoint though it ended
	// well.
	GoesOn bool `json:"goes_on,omitempty"`
	// Queue bounds how long the job may wait for its place on the target, from Begun on; 0: any time.
	Queue time.Duration `json:"queue_timeout,omitempty"`
	Begun time.Time     `json:"begun,omitzero"`
	// Others tells that the stage could run on other targets.
	Others bool `json:"others,omitempty"`
}

// Cache says that results of an earlier run will do, if what decides them is the same.
type Cache struct {
	Run    string        `json:"run"`   // the run that asks
	Stage  string        `json:"stage"` // names the stage for good: pipeline and stage
	Item   string        `json:"item,omitempty"`
	MaxAge time.Duration `json:"max_age,omitempty"` // 0: any age
}

// Reused says whose results an outcome has.
type Reused struct {
	Run string    `json:"run"`
	Job string    `json:"job"`
	At  time.Time `json:"at"` // when they were made
}

// Secret is a variable of a job and where its value is kept. Exactly one of Env,
// File and Store is set. It never holds the value.
type Secret struct {
	Var   string `json:"var"`             // the environment variable of the job
	Name  string `json:"name"`            // as the workspace calls it
	Env   string `json:"env,omitempty"`   // a variable of the command that started the run; see package secrets
	File  string `json:"file,omitempty"`  // the path of a file, absolute or with ~/
	Store string `json:"store,omitempty"` // the path of an encrypted file that holds the workspace's secrets
}

// Rollout is a deployment and the place it goes to.
type Rollout struct {
	Store      string            `json:"store"`
	Target     target.Target     `json:"target"`
	Deployment target.Deployment `json:"deployment"`
}

// Outcome is what became of one attempt.
type Outcome struct {
	target.Status
	Artifacts map[string]target.Ref `json:"artifacts,omitempty"`
	Values    map[string]any        `json:"values,omitempty"`
	Metrics   map[string]float64    `json:"metrics,omitempty"` // the last value of each
	Log       target.Ref            `json:"log,omitempty"`     // the whole log
	Logs      target.Ref            `json:"logs,omitempty"`    // see target.Results
	History   target.Ref            `json:"history,omitempty"` // all that was reported of metrics, as JSON lines
	Tracked   target.Ref            `json:"tracked,omitempty"` // see target.Results
	Tail      []string              `json:"tail,omitempty"`    // its last lines, when the attempt did not succeed
	URL       string                `json:"url,omitempty"`     // of an endpoint
	Answer    json.RawMessage       `json:"answer,omitempty"`  // to the sample request
	// Checkpoint is what another attempt may begin from, of one that did not succeed.
	Checkpoint target.Ref        `json:"checkpoint,omitempty"`
	Models     map[string]string `json:"models,omitempty"` // how the registry knows artifacts, by output
	// Enlisted are models that the job has registered itself, through the tracking API.
	Enlisted []Enlisted `json:"enlisted,omitempty"`
	Loaded   []Loaded   `json:"loaded,omitempty"` // those of the registry that it has loaded
	Reused   *Reused    `json:"reused,omitempty"`
	Fresh    string     `json:"fresh,omitempty"` // why nothing could be reused
}

// CauseOutput is the cause of a job that ended well without what it promised.
const CauseOutput target.Cause = "output"
