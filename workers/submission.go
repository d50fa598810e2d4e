package workers

import (
	"encoding/json"

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
	Tail      []string              `json:"tail,omitempty"`    // its last lines, when the attempt did not succeed
	URL       string                `json:"url,omitempty"`     // of an endpoint
	Answer    json.RawMessage       `json:"answer,omitempty"`  // to the sample request
}

// CauseOutput is the cause of a job that ended well without what it promised.
const CauseOutput target.Cause = "output"
