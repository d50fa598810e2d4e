package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// Rollout says how requests move to a new version.
type Rollout struct {
	Steps  []Step `json:"steps,omitempty"` // one after the other; all requests are the new version's after the last
	Watch  *Watch `json:"watch,omitempty"`
	Sticky string `json:"sticky,omitempty"` // request header
}

// Step gives the new version a part of the requests or, when Mirror is set, copies of
// them.
type Step struct {
	Key       string   `json:"key"` // where it is written: "canary/0", "mirror"
	Weight    float64  `json:"weight,omitempty"`
	Mirror    float64  `json:"mirror,omitempty"` // percent
	Tolerance float64  `json:"tolerance,omitempty"`
	Hold      Duration `json:"hold"`
	Check     *Asked   `json:"check,omitempty"` // nil: none
}

// Watch looks at the new version again and again, from its first request until Hold
// after it has them all.
type Watch struct {
	Hold  Duration `json:"hold"`
	Every Duration `json:"every"`
	Over  Duration `json:"over"` // the time before each look whose requests count
	When  Asked    `json:"when"`
}

// Asked is an expression over what an endpoint has measured.
type Asked struct {
	Value
	// Requests is how many the new version must have answered, or have had compared,
	// before the answer means something.
	Requests int `json:"requests"`
	// Before: it speaks of the version before, which must have answered some, too.
	Before bool `json:"before,omitempty"`
}

// Serving is what an endpoint takes upon itself, and how it calls the model.
type Serving struct {
	Auth      target.Access `json:"auth,omitempty"`
	Autoscale *Autoscale    `json:"autoscale,omitempty"`
	Limits    *Limits       `json:"limits,omitempty"`
	Batching  *Batching     `json:"batching,omitempty"`
	Bytes     bool          `json:"bytes,omitempty"`
}

// Autoscale are the bounds of the number of instances.
type Autoscale struct {
	Min         int      `json:"min"`
	Max         int      `json:"max"`
	Utilisation float64  `json:"utilisation"`
	Delay       Duration `json:"delay"`
}

// Limits bound the requests of a version. Zero is the target's own default.
type Limits struct {
	Concurrent int      `json:"concurrent,omitempty"`
	Queue      int      `json:"queue,omitempty"`
	Timeout    Duration `json:"timeout,omitempty"`
	Drain      Duration `json:"drain,omitempty"`
}

// Batching has many requests answered by one call.
type Batching struct {
	Max  int      `json:"max"`
	Wait Duration `json:"wait"`
}

// Deployment fills in what s says of a deployment; nil says nothing.
func (s *Serving) Deployment(d *target.Deployment) {
	if s == nil {
		return
	}
	d.Access, d.Bytes = s.Auth, s.Bytes
	if a := s.Autoscale; a != nil {
		d.Scale = &target.Scale{Min: a.Min, Max: a.Max, Utilisation: a.Utilisation, Delay: time.Duration(a.Delay)}
		d.Instances = max(a.Min, 1) // to begin with
	}
	if l := s.Limits; l != nil {
		d.Limits = target.Limits{Concurrent: l.Concurrent, Queue: l.Queue, Timeout: time.Duration(l.Timeout), Drain: time.Duration(l.Drain)}
	}
	if b := s.Batching; b != nil {
		d.Batch = &target.Batching{Max: b.Max, Wait: time.Duration(b.Wait)}
	}
}

// rollout compiles how the requests move; nil: all at once.
func (b *staging) rollout(l *layer, d *schema.Deploy) *Rollout {
	at := l.s.Path + "/deploy/"
	out := &Rollout{Sticky: d.Sticky}
	if m := d.Mirror; m != nil {
		step := Step{Key: "mirror", Mirror: m.Percent, Tolerance: m.Tolerance, Hold: Duration(m.Hold)}
		step.Check = b.check(l, at+"mirror/check", m.Check, m.Requests, true)
		out.Steps = append(out.Steps, step)
	}
	for i, c := range d.Canary {
		key := fmt.Sprintf("canary/%d", i)
		step := Step{Key: key, Weight: c.Weight, Hold: Duration(c.Hold)}
		step.Check = b.check(l, at+key+"/check", c.Check, c.Requests, false)
		out.Steps = append(out.Steps, step)
	}
	if r := d.Rollback; r != nil {
		when := b.check(l, at+"rollback/when", r.When, r.Requests, false)
		out.Watch = &Watch{Hold: Duration(r.Hold), Every: Duration(r.Every), Over: Duration(r.Over), When: *when}
	}
	if len(out.Steps) == 0 && out.Watch == nil {
		return nil
	}
	return out
}

func (b *staging) check(l *layer, at, text string, requests *int, mirror bool) *Asked {
	if text == "" {
		return nil
	}
	own := *l
	own.scope = l.p.CheckScope(l.s, mirror)
	r := b.read(l, b.value(&own, at, text))
	b.late(strings.TrimPrefix(at, l.s.Path+"/"), one{schema.Named{Path: at}, l})
	asked := &Asked{Value: r.Value}
	for _, ref := range r.refs {
		if ref.Path[0] == "endpoint" {
			asked.Requests = 1
			asked.Before = asked.Before || len(ref.Path) > 1 && ref.Path[1] == "before" && !ref.Defaulted
		}
	}
	if requests != nil {
		asked.Requests = *requests
	}
	return asked
}

func serving(s *schema.Deploy) *Serving {
	out := &Serving{Auth: target.Access(s.Auth), Bytes: s.Bytes}
	if a := s.Autoscale; a != nil {
		out.Autoscale = &Autoscale{Min: a.Min, Max: a.Max, Utilisation: a.Utilisation, Delay: Duration(a.Delay)}
	}
	if l := s.Limits; l != nil {
		out.Limits = &Limits{Concurrent: l.Concurrent, Queue: l.Queue, Timeout: Duration(l.Timeout), Drain: Duration(l.Drain)}
	}
	if b := s.Batching; b != nil {
		out.Batching = &Batching{Max: b.Max, Wait: Duration(b.Wait)}
	}
	if *out == (Serving{}) {
		return nil
	}
	return out
}

// routes refuses what only a target that splits requests can do.
func (b *staging) routes(t target.Target, can target.Can) {
	d := b.out.Deploy
	if d == nil || !can.Serve || can.Route {
		return
	}
	l := b.kind()
	for _, key := range []struct{ name, asks, cure string }{
		{"mirror", "gives a new version copies of requests", "leave it out"},
		{"canary", "moves requests step by step", "leave it out, so that all move at once"},
		{"rollback", "rolls back by itself", "leave it out"},
		{"auth", "asks for keys", "leave it out"},
		{"autoscale", "scales by itself", "write a number of `instances`"},
		{"limits", "limits requests", "leave it out"},
		{"batching", "answers many requests at once", "leave it out"},
		{"bytes", "takes requests as bytes", "leave it out, and take JSON"},
	} {
		at := l.s.Path + "/deploy/" + key.name
		s := l.p.Source
		if v, said := s.Value(at); !said || v == false {
			continue
		}
		b.find(diag.Finding{Pos: s.KeyAt(at), Path: at, Width: s.KeyWidth(at), Code: "target-cannot",
			Message: fmt.Sprintf("stage %q %s, which target %q of kind %q cannot do", b.out.Name, key.asks, t.Name, t.Kind),
			Hint:    key.cure + b.routing()})
	}
}

// routing names the kinds of target that split requests.
func (b *staging) routing() string {
	var kinds []string
	for _, kind := range sortedKinds(b.o.Drivers) {
		if b.o.Drivers[kind].Can(target.Target{Kind: kind}).Route {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	return "; or name a target of kind " + strings.Join(kinds, " or ")
}

// Text is the expression as it was written, without ${{ }}.
func (a *Asked) Text() string {
	t, _ := expr.Split(a.Expr)
	if part, single := t.Single(); single {
		return strings.TrimSpace(part.Expr)
	}
	return fmt.Sprint(a.Known)
}
