package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Errors of what people do to the traffic of an endpoint.
var (
	ErrNoVersion    = errors.New("no such version")
	ErrCannotRoute  = errors.New("the target cannot split requests")
	ErrNothingThere = errors.New("there is no version to go back to")
)

// Router is the way to split the requests of an endpoint.
func (s Served) Router() (target.Router, error) {
	r, ok := s.Server.(target.Router)
	if !ok {
		return nil, fmt.Errorf("%w: endpoint %q is on target %q of kind %q", ErrCannotRoute, s.Name, s.Place.Name, s.Place.Kind)
	}
	return r, nil
}

// Traffic says who answers the requests to an endpoint.
func Traffic(ctx context.Context, s Served) (workers.Traffic, error) {
	r, err := s.Router()
	if err != nil {
		return workers.Traffic{}, err
	}
	return workers.TrafficOf(ctx, r, s.Place, s.Name)
}

// Version finds the version that a person means: by its id, or by the beginning of it,
// such as the id of the run that has deployed it.
func Version(name string, known []string) (string, error) {
	if slices.Contains(known, name) {
		return name, nil
	}
	var found []string
	for _, id := range known {
		if strings.HasPrefix(id, name) && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%w: %q may be %s", ErrNoVersion, name, strings.Join(found, " or "))
	}
	return "", fmt.Errorf("%w: %q; there are %s", ErrNoVersion, name, strings.Join(known, ", "))
}

// Ready are the ids of the versions of an endpoint that can take requests at once.
func (s Served) Ready() []string {
	var ids []string
	for _, v := range s.Versions {
		ids = append(ids, v.Deployment)
	}
	return ids
}

// Move shares the requests of an endpoint anew, and reports whether anything changed.
// Versions that get none stay ready, unless they are to stop.
func Move(ctx context.Context, s Served, shares []target.Share, stop bool, why string) (bool, error) {
	r, err := s.Router()
	if err != nil {
		return false, err
	}
	now, err := workers.TrafficOf(ctx, r, s.Place, s.Name)
	if err != nil {
		return false, err
	}
	split := target.Split{ID: byHand(), Endpoint: s.Name, Shares: shares, Why: why}
	idle := false
	for _, id := range s.Ready() {
		if !slices.ContainsFunc(shares, func(x target.Share) bool { return x.Deployment == id && x.Weight > 0 }) {
			idle = true
			if !stop {
				split.Keep = append(split.Keep, id)
			}
		}
	}
	if sameShares(now.Shares, shares) && (!stop || !idle) {
		return false, nil
	}
	return true, r.Split(ctx, s.Place, split)
}

func byHand() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // it never fails
	return "hand-" + hex.EncodeToString(b)
}

func sameShares(a, b []target.Share) bool {
	parts := func(all []target.Share) map[string]float64 {
		sum, m := 0.0, map[string]float64{}
		for _, s := range all {
			sum += s.Weight
		}
		for _, s := range all {
			if s.Weight > 0 {
				m[s.Deployment] = s.Weight / sum
			}
		}
		return m
	}
	x, y := parts(a), parts(b)
	for id, w := range x {
		if math.Abs(y[id]-w) > 1e-9 {
			return false
		}
	}
	return len(x) == len(y)
}

// Earlier are the versions that have had all requests to an endpoint before those that
// have some now, the last first, each once. While several share them, the one that had
// them all before is among these: a version that never had more than its part of a
// canary is nothing to go back to. What was before the endpoint was removed is over.
func Earlier(now workers.Traffic, changes []target.Change) []string {
	var ids []string
	current := alone(now.Shares)
	for _, c := range slices.Backward(changes) {
		id := ""
		switch {
		case c.What == "retire":
			return ids
		case c.What == "split" && c.Split != nil:
			id = alone(c.Split.Shares)
		case c.What == "deploy" && !held(c):
			id = c.Deployment
		}
		if id != "" && id != current && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Known are all versions that an endpoint has and had, for those who name one: those
// that are ready first.
func (s Served) Known(changes []target.Change) []string {
	known := s.Ready()
	if s.Coming != "" && !slices.Contains(known, s.Coming) {
		known = append(known, s.Coming)
	}
	for _, c := range slices.Backward(changes) {
		if c.Deployment != "" && !slices.Contains(known, c.Deployment) {
			known = append(known, c.Deployment)
		}
	}
	return known
}

// held reports whether a deployment waited for a split: it answered nobody by itself.
func held(c target.Change) bool { return strings.Contains(c.Why, "takes no requests") }

// alone is the version that has all requests, or "" when several share them.
func alone(shares []target.Share) (id string) {
	for _, s := range shares {
		switch {
		case s.Weight <= 0:
		case id != "":
			return ""
		default:
			id = s.Deployment
		}
	}
	return id
}

// Again deploys once more what a run has deployed, and holds it until it is given
// requests. It returns the id of the new version once that is ready. Done again, it goes
// on with what it had begun.
func (e *Engine) Again(ctx context.Context, s Served, deployment string) (string, error) {
	r, err := s.Router()
	if err != nil {
		return "", err
	}
	run, stage, ok := parts(deployment)
	if !ok {
		return "", fmt.Errorf("%w: nothing is on record that %q could be deployed from again", ErrNoVersion, deployment)
	}
	state, err := e.stateOfEnd(ctx, run)
	if err != nil {
		return "", fmt.Errorf("deploy %q again: %w", deployment, err)
	}
	in, err := e.given(ctx, run)
	if err != nil {
		return "", err
	}
	p, err := e.planOf(ctx, run)
	if err != nil {
		return "", err
	}
	in.Plan = *p
	d, err := flow.Deployed(in, state, stage, func(q flow.Evaluation) (flow.Evaluated, error) { return evaluate(ctx, q) })
	if err != nil {
		return "", fmt.Errorf("deploy %q again: %w", deployment, err)
	}
	blobs, err := blob.OpenFolder(in.Store)
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		d.ID, d.Held = fmt.Sprintf("%s.again-%d", strings.Split(deployment, ".again-")[0], n), true
		got, err := r.Deployed(ctx, s.Place, d.ID)
		if err != nil {
			return "", err
		}
		switch {
		case got.State == target.Lost || got.State == target.Waiting || got.State == target.Running:
			return d.ID, ready(ctx, r, s.Place, d, blobs)
		case got.State == target.Succeeded && slices.Contains(s.Ready(), d.ID):
			return d.ID, nil
		}
	}
}

// parts are the run and the stage of a deployment that a pipeline has made.
func parts(deployment string) (run, stage string, ok bool) {
	names := strings.Split(strings.Split(deployment, ".again-")[0], ".")
	if len(names) < 3 {
		return "", "", false
	}
	return names[0], strings.Join(names[1:len(names)-1], "."), true
}

// ready deploys, and waits until that can take requests.
func ready(ctx context.Context, r target.Router, t target.Target, d target.Deployment, in target.Blobs) error {
	if err := r.Deploy(ctx, t, d, in); err != nil {
		return err
	}
	for {
		got, err := r.Deployed(ctx, t, d.ID)
		switch {
		case err != nil:
			return err
		case got.State == target.Succeeded:
			return nil
		case got.State.Ended():
			return fmt.Errorf("deploy %q: %s", d.ID, got.Reason)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
