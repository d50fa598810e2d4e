package target

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// Server is a driver whose targets host deployed models. See Can.Serve.
// The law of Driver holds for every method.
type Server interface {
	Driver
	// Deploy records the wish that d serves its endpoint and returns at once; the
	// target works towards it, and goes on when amlflow is not running. The
	// version that serves now goes on until d answers its sample. A second Deploy
	// of the same d.ID changes nothing.
	Deploy(ctx context.Context, t Target, d Deployment, in Blobs) error
	// Deployed tells how far the deployment with this id has come: Waiting or
	// Running while it starts, Succeeded once it is (or was) live, else Failed or
	// Cancelled with a Reason; Lost when the target does not know it.
	Deployed(ctx context.Context, t Target, id string) (Rollout, error)
	// Withdraw gives up a deployment that is not live yet.
	Withdraw(ctx context.Context, t Target, id string) error
	// Endpoints lists what is served on t, sorted by name. Without a name, t
	// stands for every target of its kind that the driver can see by itself.
	Endpoints(ctx context.Context, t Target) ([]Endpoint, error)
	// ReadEndpoint copies the log of one instance of an endpoint, like Read: of the
	// deployment with this id, for as long as the target remembers it, or of the one
	// that answers when the id is empty. It is an error (ErrPermanent) to ask for what
	// the target does not know.
	ReadEndpoint(ctx context.Context, t Target, name, deployment string, instance int, offset int64, w io.Writer) (int64, error)
	// Retire stops an endpoint and removes it. Retiring one that does not exist
	// is not an error.
	Retire(ctx context.Context, t Target, name string) error
}

// Keeper is a driver that has something to do though nobody asks: processes of its own
// on this computer, which may be killed like any other, or nodes that nobody needs any
// more. Keep does what is due; the background server calls it when it starts and every
// few seconds.
type Keeper interface {
	Driver
	Keep(ctx context.Context) error
}

// Deployment is a model to serve, with nothing left to resolve.
type Deployment struct {
	ID       string `json:"id"`       // unique for ever, like Job.ID
	Endpoint string `json:"endpoint"` // the stable name; at most 63 bytes, ^[a-z0-9][a-z0-9._-]*$
	Run      string `json:"run"`      // who asked for it
	Stage    string `json:"stage"`
	// Exactly one of Score and Script is set. Score is a Python file, relative to
	// the code, with init() and run(data). Script starts any HTTP server on $PORT.
	Score  string `json:"score,omitempty"`
	Script string `json:"script,omitempty"`
	// Model is delivered at $AMLFLOW_MODEL; empty: none.
	Model Ref `json:"model,omitempty"`
	// Environment is the software that the model server finds; nil: what the target has.
	Environment *Environment      `json:"environment,omitempty"`
	Code        Ref               `json:"code,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	Host        map[string]string `json:"host,omitempty"`
	Needs       Resources         `json:"needs"` // of each instance
	Instances   int               `json:"instances"`
	Health      string            `json:"health"`          // path that answers 200 when an instance is ready
	Path        string            `json:"path"`            // path of an instance that the sample is sent to
	Ready       time.Duration     `json:"ready,omitempty"` // how long an instance may take to be ready
	Sample      *Sample           `json:"sample,omitempty"`
	// Serving is for a Router; a Server that is none refuses what differs from zero.
	Serving
}

// Sample is a request that a deployment must answer before any traffic moves.
type Sample struct {
	Request json.RawMessage `json:"request"`
	Answer  json.RawMessage `json:"answer,omitempty"` // the JSON value that must come back; nil: any
}

// Rollout is how far one deployment has come.
type Rollout struct {
	State  State           `json:"state"`
	Cause  Cause           `json:"cause,omitempty"` // of a failure: CauseStart or CauseSample
	URL    string          `json:"url,omitempty"`   // where clients ask, once live
	Reason string          `json:"reason,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"` // what came back for the sample
	Log    string          `json:"log,omitempty"`    // the last lines of the instance that failed
}

// Endpoint is what is served under one name.
type Endpoint struct {
	Name      string     `json:"name"`
	Target    string     `json:"target"`
	URL       string     `json:"url"`
	State     State      `json:"state"`            // Running when it answers, Waiting while it starts, Failed
	Live      string     `json:"live,omitempty"`   // id of the deployment that answers
	Coming    string     `json:"coming,omitempty"` // id of the deployment that starts
	Run       string     `json:"run,omitempty"`
	Stage     string     `json:"stage,omitempty"`
	Model     Ref        `json:"model,omitempty"`
	Since     time.Time  `json:"since,omitzero"`
	Instances []Instance `json:"instances"`
	Reason    string     `json:"reason,omitempty"`
	// Versions are all deployments that are ready, the oldest first; a Server that is
	// no Router may leave them out. Live is the one with the largest share.
	Versions []Version `json:"versions,omitempty"`
}

// Version is one of the deployments of an endpoint that are ready.
type Version struct {
	Deployment string     `json:"deployment"`
	Weight     float64    `json:"weight"` // its share of the requests, from 0 to 1
	Mirror     bool       `json:"mirror,omitempty"`
	Held       bool       `json:"held,omitempty"`
	State      State      `json:"state"`
	Run        string     `json:"run,omitempty"`
	Stage      string     `json:"stage,omitempty"`
	Model      Ref        `json:"model,omitempty"`
	Since      time.Time  `json:"since,omitzero"` // when it was ready
	Instances  []Instance `json:"instances"`
	Reason     string     `json:"reason,omitempty"`
}

// Instance is one process that answers for an endpoint.
type Instance struct {
	Number   int    `json:"number"`
	State    State  `json:"state"`
	PID      int    `json:"pid,omitempty"`
	Address  string `json:"address,omitempty"` // host:port behind the gateway
	Restarts int    `json:"restarts,omitempty"`
	Reason   string `json:"reason,omitempty"`
}
