package dummy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Deployments serve nothing either: their scripts say what is measured of them. Besides
// the steps of jobs (ok, fail, hang) there are
//
//	answers {"requests": 100, "errors": 3}   what is measured, whatever the time (see target.Figures)
//	at 50 {"requests": 100, "errors": 30}    the same, once the version has so many percent of the requests
//	gone 50                                  the version is lost, once it has so many percent
//
// They are ready at once. Targets serve when their setting `serve` says so.

// version is a deployment.
type version struct {
	target.Deployment
	state   target.State
	reason  string
	stopped bool
	steps   []answering
}

// answering is how a version answers from a share of the requests on.
type answering struct {
	from    float64
	gone    bool
	figures target.Figures
}

// served is what is known of an endpoint.
type served struct {
	versions []*version
	changes  []target.Change
	keys     [2]string
	splits   map[string]bool // by id, that were made
}

var _ target.Router = (*Driver)(nil)

func (d *Driver) endpoint(name string) *served {
	if d.served == nil {
		d.served = map[string]*served{}
	}
	if d.served[name] == nil {
		d.served[name] = &served{splits: map[string]bool{}}
	}
	return d.served[name]
}

func (d *Driver) version(id string) (*served, *version) {
	for _, s := range d.served {
		for _, v := range s.versions {
			if v.ID == id {
				return s, v
			}
		}
	}
	return nil, nil
}

// Deploy implements target.Server.
func (d *Driver) Deploy(_ context.Context, t target.Target, wish target.Deployment, _ target.Blobs) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.endpoint(wish.Endpoint)
	if _, v := d.version(wish.ID); v != nil {
		return nil
	}
	v := &version{Deployment: wish, state: target.Succeeded}
	for line := range strings.SplitSeq(strings.ReplaceAll(wish.Script, " then ", "\n"), "\n") {
		if err := v.step(strings.TrimSpace(line)); err != nil {
			return fmt.Errorf("the step %q: %w: %w", line, err, target.ErrPermanent)
		}
	}
	s.versions = append(s.versions, v)
	if !wish.Held && v.state == target.Succeeded {
		s.change(target.Change{What: "deploy", Run: wish.Run, Stage: wish.Stage, Deployment: wish.ID})
		s.stop(func(o *version) bool { return o == v })
	}
	return nil
}

func (v *version) step(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	a := answering{}
	switch word {
	case "", "ok":
		return nil
	case "fail":
		v.state, v.reason = target.Failed, "it failed, as its script says"
		return nil
	case "hang":
		v.state = target.Running
		return nil
	case "at":
		share, more, _ := strings.Cut(rest, " ")
		if a.from, err = strconv.ParseFloat(share, 64); err != nil {
			return err
		}
		rest = more
	case "gone":
		a.gone = true
		a.from, err = strconv.ParseFloat(rest, 64)
		v.steps = append(v.steps, a)
		return err
	case "answers":
	default:
		return errors.New("there is no such step; see the doc of package dummy")
	}
	err = json.Unmarshal([]byte(rest), &a.figures)
	v.steps = append(v.steps, a)
	return err
}

// change puts something on record. The caller holds the lock.
func (s *served) change(c target.Change) { s.changes = append(s.changes, c) }

// stop ends all versions but those that are wanted.
func (s *served) stop(wanted func(*version) bool) {
	for _, v := range s.versions {
		if v.state == target.Succeeded && !wanted(v) {
			v.stopped = true
		}
	}
}

// share is the part of the requests, in percent, that a version gets, copies among them.
func (s *served) share(id string) float64 {
	if len(s.changes) == 0 {
		return 0
	}
	last := s.changes[len(s.changes)-1]
	switch {
	case last.Split == nil && last.Deployment == id:
		return 100
	case last.Split == nil:
		return 0
	case last.Split.Mirror == id:
		return last.Split.MirrorPercent
	}
	sum, own := 0.0, 0.0
	for _, x := range last.Split.Shares {
		if sum += x.Weight; x.Deployment == id {
			own = x.Weight
		}
	}
	return 100 * own / max(sum, 1)
}

// mirrors reports whether a version gets copies only.
func (s *served) mirrors(id string) bool {
	last := s.changes[len(s.changes)-1].Split
	return last != nil && last.Mirror == id
}

// Deployed implements target.Server.
func (d *Driver) Deployed(_ context.Context, _ target.Target, id string) (target.Rollout, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, v := d.version(id)
	if v == nil {
		return target.Rollout{State: target.Lost, Reason: "the target knows no such deployment"}, nil
	}
	for _, a := range v.steps {
		if a.gone && s.share(id) >= a.from {
			return target.Rollout{State: target.Lost, Reason: "it is gone, as its script says"}, nil
		}
	}
	r := target.Rollout{State: v.state, Reason: v.reason}
	if v.state == target.Succeeded {
		r.URL = "http://127.0.0.1/" + v.Endpoint
	}
	return r, nil
}

// Withdraw implements target.Server.
func (d *Driver) Withdraw(_ context.Context, _ target.Target, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, v := d.version(id)
	switch {
	case v == nil:
	case v.state == target.Running:
		v.state, v.reason = target.Cancelled, "withdrawn"
	case v.Held && s.share(id) == 0:
		v.stopped = true
	}
	return nil
}

// Endpoints implements target.Server.
func (d *Driver) Endpoints(_ context.Context, t target.Target) ([]target.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []target.Endpoint
	for name, s := range d.served {
		e := target.Endpoint{Name: name, Target: t.Name, URL: "http://127.0.0.1/" + name, State: target.Waiting}
		for _, v := range s.versions {
			if s.share(v.ID) > 0 && !s.mirrors(v.ID) {
				e.Live, e.State = v.ID, target.Running
			}
		}
		if len(s.versions) > 0 {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b target.Endpoint) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// ReadEndpoint implements target.Server.
func (d *Driver) ReadEndpoint(_ context.Context, _ target.Target, _, _ string, _ int, offset int64, _ io.Writer) (int64, error) {
	return offset, nil
}

// Retire implements target.Server.
func (d *Driver) Retire(_ context.Context, _ target.Target, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.served[name]; s != nil && slices.ContainsFunc(s.versions, func(v *version) bool { return v.state == target.Succeeded && !v.stopped }) {
		s.stop(func(*version) bool { return false })
		s.change(target.Change{What: "retire"})
	}
	return nil
}

// Split implements target.Router.
func (d *Driver) Split(_ context.Context, _ target.Target, split target.Split) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.endpoint(split.Endpoint)
	if s.splits[split.ID] {
		return nil
	}
	named := append(slices.Clone(split.Keep), split.Mirror)
	for _, x := range split.Shares {
		named = append(named, x.Deployment)
	}
	for _, id := range named {
		if _, v := d.version(id); id != "" && (v == nil || v.state != target.Succeeded || v.stopped) {
			return fmt.Errorf("%q is not ready: %w", id, target.ErrPermanent)
		}
	}
	s.splits[split.ID] = true
	s.change(target.Change{What: "split", Run: split.Run, Stage: split.Stage, Why: split.Why, Split: &split})
	s.stop(func(v *version) bool { return slices.Contains(named, v.ID) })
	return nil
}

// Measured implements target.Router.
func (d *Driver) Measured(_ context.Context, _ target.Target, _, deployment string, since time.Time) (target.Figures, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := target.Figures{}
	s, v := d.version(deployment)
	if v == nil {
		return f, nil
	}
	for _, a := range v.steps {
		if !a.gone && s.share(deployment) >= a.from {
			f = a.figures
		}
	}
	f.From = since
	return f, nil
}

// Changes implements target.Router.
func (d *Driver) Changes(_ context.Context, _ target.Target, endpoint string) ([]target.Change, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.endpoint(endpoint).changes), nil
}

// Keys implements target.Router.
func (d *Driver) Keys(_ context.Context, _ target.Target, endpoint string, rotate int) ([2]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.endpoint(endpoint)
	for i := range s.keys {
		if s.keys[i] == "" || rotate == i+1 {
			d.made++
			s.keys[i] = fmt.Sprintf("key-%d", d.made)
		}
	}
	return s.keys, nil
}

// Stopped tells which deployments were stopped, in the order in which they were made.
func (d *Driver) Stopped(endpoint string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for _, v := range d.endpoint(endpoint).versions {
		if v.stopped {
			all = append(all, v.ID)
		}
	}
	return all
}
