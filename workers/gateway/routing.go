package gateway

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

const (
	routingDir  = "routing"
	keepChanges = 500    // entries in the history of an endpoint
	keepSplits  = 10_000 // ids of splits that are remembered
)

// routing is what was decided about an endpoint beyond its deployments. It stands in
// routing/NAME.json, outlives all of them, and is written whole under the lock of the
// wishes. Rev grows with each write: a gateway that has seen one has seen all before.
type routing struct {
	Rev     int64           `json:"rev"`
	Split   *accepted       `json:"split,omitempty"`  // the last one, which may be over
	Splits  []string        `json:"splits,omitempty"` // the ids of all of them, the oldest first
	Changes []target.Change `json:"changes,omitempty"`
	// Noted is the number of the last deployment that the changes tell of. Numbers go
	// on above it, also when the endpoint was retired in between.
	Noted int `json:"noted,omitempty"`
}

// accepted is a split that was found to be possible.
type accepted struct {
	target.Split
	At time.Time `json:"at"`
	// Ready is the number of the last deployment that was ready then. What gets ready
	// later is not touched by the split, and ends it unless it is held.
	Ready int `json:"ready"`
}

// readRouting returns the record of an endpoint, which is empty as long as nothing
// was decided.
func (f Folder) readRouting(name string) (r routing, err error) {
	err = readJSON(f.path(routingDir), name+".json", &r)
	if errors.Is(err, fs.ErrNotExist) {
		return routing{}, nil
	}
	return r, err
}

// writeRouting puts the record in its place. The caller holds the lock of the wishes.
func (f Folder) writeRouting(name string, r *routing) error {
	dir := f.path(routingDir)
	if err := errors.Join(os.MkdirAll(dir, 0o700), syncPath(f.Dir)); err != nil {
		return err
	}
	r.Rev++
	r.Splits = r.Splits[max(0, len(r.Splits)-keepSplits):]
	r.Changes = r.Changes[max(0, len(r.Changes)-keepChanges):]
	return writeDurable(dir, name+".json", r)
}

func (r *routing) note(c target.Change) {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	r.Changes = append(r.Changes, c)
}

// remember notes which deployments have become ready, each once, and reports whether
// there were any. They become ready in the order of their numbers.
func (r *routing) remember(h history) bool {
	before := r.Noted
	for _, d := range h {
		if d.end == nil || d.end.State != target.Succeeded || d.Seq <= r.Noted {
			continue
		}
		why := "ready, and answers all requests"
		if d.Held {
			why = "ready, and takes no requests until a split gives it some"
		}
		r.note(target.Change{At: d.end.At, What: "deploy", Run: d.Run, Stage: d.Stage, Why: why, Deployment: d.ID})
		r.Noted = d.Seq
	}
	return r.Noted > before
}

// roles are who does what for an endpoint.
type roles struct {
	split  *target.Split // nil: the last deployment that was ready answers
	shares []share       // those that answer, with positive weights
	mirror *deployment
	alive  map[string]bool // the ids of these, and of those that are kept or held
}

type share struct {
	*deployment
	weight float64
}

// main returns the deployment that answers most of the requests, or nil.
func (p roles) main() *deployment {
	var most share
	for _, s := range p.shares {
		if s.weight > most.weight || s.weight == most.weight && s.Seq > most.Seq {
			most = s
		}
	}
	return most.deployment
}

// weight returns the share of the requests that a deployment gets, from 0 to 1.
func (p roles) weight(id string) float64 {
	var sum, own float64
	for _, s := range p.shares {
		if sum += s.weight; s.ID == id {
			own = s.weight
		}
	}
	if own == 0 {
		return 0
	}
	return own / sum
}

// roles decides who answers, from nothing but the records.
func (h history) roles(r routing) roles {
	p := roles{alive: map[string]bool{}}
	live := h.last(deployment.plain)
	since := 0
	switch {
	case h.follows(r.Split, live):
		p.take(h, r.Split.Split)
		since = r.Split.Ready
	case live != nil:
		p.shares = []share{{live, 1}}
		p.alive[live.ID] = true
		since = live.Seq
	}
	for n := range h {
		if d := &h[n]; d.ready() && d.Held && d.Seq > since {
			p.alive[d.ID] = true
		}
	}
	return p
}

// follows reports whether the split says who answers: there is somebody left whom it
// names, and nobody who is not held has become ready after it.
func (h history) follows(s *accepted, live *deployment) bool {
	if s == nil || live != nil && live.Seq > s.Ready {
		return false
	}
	for _, share := range s.Shares {
		if d := h.find(share.Deployment); share.Weight > 0 && d != nil && d.ready() {
			return true
		}
	}
	return false
}

func (p *roles) take(h history, s target.Split) {
	p.split = &s
	for _, one := range s.Shares {
		if d := h.find(one.Deployment); d != nil && d.ready() && one.Weight > 0 {
			p.shares = append(p.shares, share{d, one.Weight})
			p.alive[d.ID] = true
		}
	}
	if d := h.find(s.Mirror); d != nil && d.ready() {
		p.mirror = d
		p.alive[d.ID] = true
	}
	for _, id := range s.Keep {
		if d := h.find(id); d != nil && d.ready() {
			p.alive[id] = true
		}
	}
}

// ready reports whether the deployment can answer: it succeeded, and nobody began to
// end it.
func (d deployment) ready() bool { return d.succeeded() && !d.swept }

// plain reports whether the rule of target.Server is for it: the last one answers.
func (d deployment) plain() bool { return d.ready() && !d.Held }

func (h history) find(id string) *deployment {
	for n := range h {
		if id != "" && h[n].ID == id {
			return &h[n]
		}
	}
	return nil
}

// records reads all that is on record about an endpoint.
func (f Folder) records(name string) (history, routing, error) {
	// In this order: what a split names was ready before.
	r, err := f.readRouting(name)
	if err != nil {
		return nil, r, err
	}
	h, err := readHistory(f.endpoint(name))
	return h, r, err
}
