package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// appliedEnd ends the name of the file that says up to which record of the routing of
// an endpoint its requests follow.
const appliedEnd = ".applied"

// confirmWithin bounds the wait for the gateway to follow what is on record.
const confirmWithin = 20 * time.Second

// Split changes how the requests to an endpoint are shared. See target.Router.
func (f Folder) Split(ctx context.Context, on string, s target.Split) error {
	if err := checkSplit(s); err != nil {
		return fmt.Errorf("split %q: %w: %w", s.Endpoint, err, target.ErrPermanent)
	}
	var rev int64
	err := f.locked(ctx, wishesLock, func() (err error) {
		rev, err = f.accept(on, s)
		return err
	})
	if err == nil {
		err = f.confirm(ctx, s.Endpoint, rev)
	}
	if err != nil {
		return fmt.Errorf("split %q: %w", s.Endpoint, err)
	}
	return nil
}

func checkSplit(s target.Split) error {
	if !target.ValidID(s.ID) {
		return fmt.Errorf("%.80q cannot be the id of a split", s.ID)
	}
	if !validName(s.Endpoint) {
		return fmt.Errorf("%.80q cannot name an endpoint", s.Endpoint)
	}
	sum := 0.0
	seen := map[string]bool{}
	for _, share := range s.Shares {
		if !(share.Weight >= 0 && share.Weight <= math.MaxFloat64/1e6) {
			return fmt.Errorf("the weight %v of %q must be 0 or more", share.Weight, share.Deployment)
		}
		if seen[share.Deployment] {
			return fmt.Errorf("%q has two shares", share.Deployment)
		}
		seen[share.Deployment] = share.Weight > 0
		sum += share.Weight
	}
	switch {
	case sum == 0:
		return errors.New("nobody would get a request: give one deployment a weight above 0")
	case seen[s.Mirror]:
		return fmt.Errorf("%q cannot be the mirror of what it answers itself: leave out its share, or the mirror", s.Mirror)
	case !(s.MirrorPercent >= 0 && s.MirrorPercent <= 100):
		return fmt.Errorf("a mirror gets from 0 to 100 percent of the requests, not %v", s.MirrorPercent)
	case !(s.Tolerance >= 0 && s.Tolerance <= 1):
		return fmt.Errorf("the tolerance is from 0 to 1, not %v", s.Tolerance)
	case strings.ContainsFunc(s.Sticky, func(r rune) bool { return !headerRune(r) }):
		return fmt.Errorf("%.80q cannot be the name of a header", s.Sticky)
	}
	return nil
}

func headerRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// accept puts the split on record, once, and returns the number of that record. The
// caller holds the lock of the wishes.
func (f Folder) accept(on string, s target.Split) (int64, error) {
	h, r, err := f.records(s.Endpoint)
	if err != nil {
		return 0, err
	}
	if slices.Contains(r.Splits, s.ID) {
		return r.Rev, nil
	}
	p := h.roles(r)
	for _, id := range named(s) {
		if err := h.takes(id, on, p); err != nil {
			return 0, fmt.Errorf("%w: %w", err, target.ErrPermanent)
		}
	}
	a := &accepted{Split: s, At: time.Now()}
	if last := h.last(deployment.ready); last != nil {
		a.Ready = last.Seq
	}
	r.remember(h)
	r.Split = a
	r.Splits = append(r.Splits, s.ID)
	r.note(target.Change{At: a.At, What: "split", Run: s.Run, Stage: s.Stage, Why: s.Why, Split: &a.Split})
	err = f.writeRouting(s.Endpoint, &r)
	return r.Rev, err
}

// named are the deployments that the split needs to be ready.
func named(s target.Split) []string {
	ids := slices.Clone(s.Keep)
	for _, share := range s.Shares {
		ids = append(ids, share.Deployment)
	}
	if s.Mirror != "" {
		ids = append(ids, s.Mirror)
	}
	return ids
}

// takes says why the deployment cannot take requests, or be kept, or returns nil.
func (h history) takes(id, on string, p roles) error {
	d := h.find(id)
	switch {
	case d == nil || d.retired || d.Target != on:
		return fmt.Errorf("there is no deployment %q of it on target %q", id, on)
	case d.end == nil:
		return fmt.Errorf("deployment %q is not ready yet", id)
	case d.end.State != target.Succeeded:
		return fmt.Errorf("deployment %q did not get ready: %s", id, d.end.Reason)
	case !p.alive[id]:
		return fmt.Errorf("deployment %q is not ready any more: it had no share and was not kept, so it was stopped; deploy it again", id)
	}
	return nil
}

// applied is how far the gateway follows the record of the routing.
type applied struct {
	Rev int64 `json:"rev"`
}

// confirm waits until the gateway follows the record with this number. Without a
// gateway the record is enough: the next one reads it before it listens.
func (f Folder) confirm(ctx context.Context, endpoint string, rev int64) error {
	limit, cancel := context.WithTimeoutCause(ctx, confirmWithin, errors.New("it is on record, but the gateway did not say that it follows"))
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if err := f.ensure(ctx); err != nil {
			return err
		}
		var a applied
		if readJSON(f.path(routingDir), endpoint+appliedEnd, &a) == nil && a.Rev >= rev {
			return nil
		}
		// An endpoint that went meanwhile follows nothing any more.
		if !exists(f.endpoint(endpoint), "") || f.Start == nil && !nudge(f.Dir) {
			return nil
		}
		if err := sleep(limit, pause); err != nil {
			return err
		}
	}
}
