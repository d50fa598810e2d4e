package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/amlflow/amlflow/workers/target"
)

// now is what the gateway says about itself.
type now struct {
	PID     int    `json:"pid"`
	Guard   int    `json:"guard,omitempty"`   // the process that takes its place when it is killed
	Reserve int    `json:"reserve,omitempty"` // the one that does when the guard is killed with it
	Reason  string `json:"reason,omitempty"`  // why it does not listen
}

// gone is what an endpoint says while no gateway runs.
const gone = "its gateway is not running; the next deploy or look at the endpoints starts it"

// Deployed tells how far the deployment with this id has come. Its url is given
// for as long as it is the one that answers. See target.Server.
func (f Folder) Deployed(ctx context.Context, id string) (target.Rollout, error) {
	d, ok, err := f.find(id)
	if err != nil {
		return target.Rollout{}, fmt.Errorf("look at deployment %q: %w", id, err)
	}
	if !ok || d.retired {
		return target.Rollout{State: target.Lost, Reason: "the target knows no such deployment, or no longer"}, nil
	}
	if d.end == nil {
		return f.starting(ctx, d)
	}
	r := target.Rollout{State: d.end.State, Cause: d.end.Cause, Reason: d.end.Reason, Answer: d.end.Answer, Log: d.end.Log}
	if r.State == target.Succeeded {
		r.URL = f.url(d.Endpoint)
	}
	return r, nil
}

func (f Folder) starting(ctx context.Context, d deployment) (target.Rollout, error) {
	if err := f.ensure(ctx); err != nil {
		return target.Rollout{}, err
	}
	r := target.Rollout{State: target.Waiting}
	if exists(d.dir, instancesDir) {
		r.State = target.Running
	}
	if n := f.now(); n.Reason != "" {
		r.Reason = n.Reason
	}
	return r, nil
}

func (f Folder) now() (n now) {
	_ = readJSON(f.Dir, nowFile, &n) // absent until a gateway has started
	return n
}

// Endpoints lists what is served on the target, or on all of its kind when it has no
// name, sorted by name. See target.Server.
func (f Folder) Endpoints(ctx context.Context, on target.Target) ([]target.Endpoint, error) {
	if err := f.ensure(ctx); err != nil {
		return nil, err
	}
	return f.list(func(d deployment) bool {
		return (on.Name == "" || d.Target == on.Name) && d.kind() == cmp.Or(on.Kind, hereKind)
	})
}

func (f Folder) list(belongs func(deployment) bool) ([]target.Endpoint, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	reason := f.now().Reason
	running := nudge(f.Dir)
	list := []target.Endpoint{}
	for _, name := range names {
		h, r, err := f.records(name)
		if err != nil {
			return nil, fmt.Errorf("look at endpoint %q: %w", name, err)
		}
		h = h.current()
		if len(h) == 0 || !belongs(h[len(h)-1]) { // a target may have become one of another kind
			continue
		}
		e := describe(h, h.roles(r))
		e.URL = f.url(name)
		switch {
		case running && reason != "":
			e.State, e.Reason = target.Failed, reason
		case !running && e.State != target.Failed:
			e.State, e.Reason = target.Waiting, gone
		}
		list = append(list, e)
	}
	return list, nil
}

// describe tells how an endpoint is from the records of its deployments, of
// which there is at least one.
func describe(h history, p roles) target.Endpoint {
	last := &h[len(h)-1]
	e := target.Endpoint{Name: last.Endpoint, Target: last.Target, State: target.Failed}
	shown := last
	if d := h.coming(); d != nil {
		e.State, e.Coming, shown = target.Waiting, d.ID, d
	}
	if d := p.main(); d != nil {
		e.Live, e.Since, shown = d.ID, d.end.At, d
	}
	e.Run, e.Stage, e.Model = shown.Run, shown.Stage, shown.Model
	e.Instances = readInstances(*shown)
	if e.Live != "" {
		e.State, e.Reason = shown.health(e.Instances)
	}
	for n := range h {
		if d := &h[n]; p.alive[d.ID] {
			e.Versions = append(e.Versions, p.version(d))
		}
	}
	if e.Live == "" && e.Coming == "" && len(e.Versions) > 0 {
		e.State, e.Reason = target.Waiting, "what is ready is held: it takes no requests until a split gives it some"
	}
	if end := last.end; end != nil && end.State == target.Failed && e.Reason == "" {
		e.Reason = fmt.Sprintf("%s is not live: %s", last.ID, end.Reason)
	}
	return e
}

// version describes a deployment that is ready.
func (p roles) version(d *deployment) target.Version {
	v := target.Version{
		Deployment: d.ID, Weight: p.weight(d.ID), Mirror: p.mirror != nil && p.mirror.ID == d.ID, Held: d.Held,
		Run: d.Run, Stage: d.Stage, Model: d.Model, Since: d.end.At, Instances: readInstances(*d),
	}
	v.State, v.Reason = d.health(v.Instances)
	return v
}

// health sums up the instances of a deployment that is ready.
func (d *deployment) health(instances []target.Instance) (target.State, string) {
	if len(instances) == 0 && d.Scale != nil && d.Scale.Min == 0 {
		return target.Running, "no instance runs while nobody asks; the next request starts one"
	}
	state, reason := target.Failed, "no instance runs"
	for _, i := range instances {
		switch i.State {
		case target.Running:
			return target.Running, ""
		case target.Waiting:
			state = target.Waiting
		}
		if i.Reason != "" {
			reason = i.Reason
		}
	}
	return state, reason
}

func readInstances(d deployment) []target.Instance {
	list := []target.Instance{}
	for _, n := range d.shown() {
		i := target.Instance{Number: n, State: target.Waiting}
		var s start
		if err := readJSON(instanceDir(d.dir, n), nowFile, &s); err == nil {
			i = s.instance(n)
		}
		list = append(list, i)
	}
	return list
}

// shown are the numbers of the instances that there are, or are to be.
func (d *deployment) shown() []int {
	if d.Scale != nil && d.end != nil {
		return d.recorded()
	}
	return d.numbers()
}

// most is how many instances there may be.
func most(d target.Deployment) int {
	if d.Scale != nil {
		return max(d.Scale.Max, d.Scale.Min, 1)
	}
	return d.Instances
}

// ReadEndpoint copies the log of one instance of the endpoint from byte offset
// on to w and returns the offset reached. Without an id the log is that of the
// deployment that answers, or of the last one while none does; all starts of an
// instance follow each other in it. An offset beyond the end stems from an earlier
// deployment: reading starts over. See target.Server.
func (f Folder) ReadEndpoint(ctx context.Context, on, name, id string, instance int, offset int64, w io.Writer) (int64, error) {
	if !validName(name) {
		return offset, fmt.Errorf("%.80q cannot name an endpoint: %w", name, target.ErrPermanent)
	}
	h, r, err := f.records(name)
	if err != nil {
		return offset, err
	}
	h = slices.DeleteFunc(h.current(), func(d deployment) bool { return d.Target != on })
	if len(h) == 0 {
		return offset, fmt.Errorf("there is no endpoint %q on target %q: %w", name, on, target.ErrPermanent)
	}
	d := h.find(id)
	switch {
	case d == nil && id != "":
		return offset, fmt.Errorf("endpoint %q has no version %q, or none any more: %w", name, id, target.ErrPermanent)
	case d == nil:
		if d = h.roles(r).main(); d == nil {
			d = &h[len(h)-1]
		}
	}
	if most := most(d.Deployment); instance < 0 || instance >= most {
		return offset, fmt.Errorf("endpoint %q has the instances 0 to %d, and no %d: %w", name, most-1, instance, target.ErrPermanent)
	}
	return f.readLog(ctx, d, instance, offset, w)
}

func instanceDir(deployment string, n int) string {
	return filepath.Join(deployment, instancesDir, strconv.Itoa(n))
}
