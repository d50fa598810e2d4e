package target

import (
	"context"
	"encoding/json"
	"time"
)

// Router is a Server whose endpoints can have several versions at once, each with a
// share of the requests. See Can.Route. The law of Driver holds for every method.
//
// A deployment that is Held gets ready like any other and takes no request until a
// Split gives it some. The first Split of an endpoint takes over from the rule of
// Server, "the last that was ready answers"; a deployment that is not Held brings that
// rule back, with all requests for itself.
type Router interface {
	Server
	// Split changes how the requests to an endpoint are shared. It is on record, and
	// every later request follows it, once it has returned. No request fails because
	// of it. A second Split with the same ID changes nothing, even when others came in
	// between. A version that the split neither gives requests to nor keeps is drained
	// and stopped. It is an error (ErrPermanent) to name a deployment that is not ready.
	Split(ctx context.Context, t Target, s Split) error
	// Measured tells how a version has answered since a moment, as exactly as the
	// target remembers; what it no longer remembers it leaves out and says so in From.
	// Of long ago it may remember a little more than was asked for: then From is
	// earlier. What was just answered may take a moment to be counted. It survives
	// whatever happens to processes of the target, but for the last second before it.
	// It is an error (ErrPermanent) to ask for a deployment that the target forgot.
	Measured(ctx context.Context, t Target, endpoint, deployment string, since time.Time) (Figures, error)
	// Changes lists what was decided about an endpoint, the oldest first: deployments
	// that went live, splits, keys, and why. It outlives the deployments.
	Changes(ctx context.Context, t Target, endpoint string) ([]Change, error)
	// Keys returns the two keys of an endpoint that asks for one, and makes them when
	// there are none. Rotate names the key to be replaced first, 1 or 2; 0 replaces
	// none. The other goes on to be accepted, so that clients can move.
	Keys(ctx context.Context, t Target, endpoint string, rotate int) ([2]string, error)
}

// Split says who answers the requests to an endpoint.
type Split struct {
	ID       string  `json:"id"`       // unique for ever, like Job.ID
	Endpoint string  `json:"endpoint"` // its name
	Shares   []Share `json:"shares"`   // of the requests; the weights need not sum up to 100
	// Mirror is a deployment that gets copies of MirrorPercent of the requests. What
	// it answers is compared and never returned. Empty: none.
	Mirror        string  `json:"mirror,omitempty"`
	MirrorPercent float64 `json:"mirror_percent,omitempty"`
	// Tolerance is by how much numbers in the answers of a mirror may differ, relative
	// to the larger, and still agree.
	Tolerance float64 `json:"tolerance,omitempty"`
	// Sticky names a request header: requests with the same value of it go to the same
	// version for as long as the shares stay as they are. Empty: each request by itself.
	Sticky string `json:"sticky,omitempty"`
	// Keep are deployments that stay ready though they get no requests, so that they
	// can have them back at once.
	Keep []string `json:"keep,omitempty"`
	// Run, Stage and Why say who wanted this and for what reason, for people.
	Run   string `json:"run,omitempty"`
	Stage string `json:"stage,omitempty"`
	Why   string `json:"why,omitempty"`
}

// Share is what one version gets of the requests.
type Share struct {
	Deployment string  `json:"deployment"` // its id
	Weight     float64 `json:"weight"`     // 0 or more
}

// Figures are what a target has measured of one version. Durations are in
// milliseconds, as the client sees them at the target, without the network.
type Figures struct {
	From     time.Time `json:"from"`     // of what follows
	Requests int64     `json:"requests"` // answered, one way or another
	Errors   int64     `json:"errors"`   // of them: status 500 and above, no answer, or too late
	Rejected int64     `json:"rejected"` // 429, since all places were taken; not among Requests
	P50      float64   `json:"p50_ms"`   // by histogram, at most 3 % too large
	P95      float64   `json:"p95_ms"`
	P99      float64   `json:"p99_ms"`
	// Compared are copies of requests that both the mirror and the version that
	// answered the client gave an answer to; Agreed are those where they were equal.
	// All copies that a mirror got are among its Requests.
	Compared int64 `json:"compared,omitempty"`
	Agreed   int64 `json:"agreed,omitempty"`
	// Reported are the means of the numbers that run(data) has reported by name.
	Reported map[string]float64 `json:"reported,omitempty"`
}

// Change is one entry in the history of an endpoint.
type Change struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"` // "deploy", "split", "keys", "retire"
	Run   string    `json:"run,omitempty"`
	Stage string    `json:"stage,omitempty"`
	Why   string    `json:"why,omitempty"`
	// Split is what was decided, when What is "split".
	Split *Split `json:"split,omitempty"`
	// Deployment is what it is about, when What is "deploy".
	Deployment string `json:"deployment,omitempty"`
}

// Access says who may ask an endpoint.
type Access string

// The ways to guard an endpoint.
const (
	Open  Access = ""    // everyone who reaches it
	Keyed Access = "key" // who sends "Authorization: Bearer KEY" with one of its two keys
)

// Limits bound what one version takes upon itself. Zero means the default.
type Limits struct {
	Concurrent int           `json:"concurrent,omitempty"` // requests at once in each instance; default 0: no bound
	Queue      int           `json:"queue,omitempty"`      // requests that wait for a place, of all instances; beyond it 429
	Timeout    time.Duration `json:"timeout,omitempty"`    // of a request, waiting included; then 504
	Drain      time.Duration `json:"drain,omitempty"`      // given to requests under way when a version stops; default 30 s
}

// Scale makes the number of instances follow the requests; nil: Instances stays.
type Scale struct {
	Min         int           `json:"min"` // 0: none while nobody asks; the next request waits for the first to be ready
	Max         int           `json:"max"`
	Utilisation float64       `json:"utilisation"` // of Concurrent (or of 1), aimed at; 0 < u <= 1
	Delay       time.Duration `json:"delay"`       // how long fewer must have sufficed before some stop
}

// Batching has a score file called with many requests at once; nil: one by one.
type Batching struct {
	Max  int           `json:"max"`  // requests in one call of run
	Wait time.Duration `json:"wait"` // for more of them
}

// Serving is what a Deployment for a Router says beyond one for a Server.
type Serving struct {
	Held   bool      `json:"held,omitempty"` // takes no requests until a Split says so
	Access Access    `json:"access,omitempty"`
	Limits Limits    `json:"limits,omitzero"`
	Scale  *Scale    `json:"scale,omitempty"`
	Batch  *Batching `json:"batch,omitempty"`
	// Bytes has run(data) called with the raw bytes of the body, and its answer, bytes
	// or text, sent as it is; otherwise both are JSON.
	Bytes bool `json:"bytes,omitempty"`
	// OpenAPI describes requests and answers, for GET /NAME/openapi.json. Nil: made
	// from the sample.
	OpenAPI json.RawMessage `json:"openapi,omitempty"`
}
