package workers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
)

// Route is the activity that moves requests between the versions of an endpoint, and
// tells how they answer.
const Route = "amlflow.route"

// Routing is one look at an endpoint and, before it, perhaps a change. It may be asked
// again and again.
type Routing struct {
	Target   target.Target `json:"target"`
	Endpoint string        `json:"endpoint"`
	// Deployment is the version that is looked at.
	Deployment string        `json:"deployment,omitempty"`
	Split      *target.Split `json:"split,omitempty"`    // put into effect first
	Withdraw   bool          `json:"withdraw,omitempty"` // Deployment is given up, after the split
	Retire     bool          `json:"retire,omitempty"`   // the whole endpoint goes, after that
	// Since is when what is measured of the versions in it begins, by their ids.
	Since map[string]time.Time `json:"since,omitempty"`
}

// Routed is what a look has seen.
type Routed struct {
	Traffic Traffic                   `json:"traffic"`
	State   target.State              `json:"state,omitempty"` // of the deployment that was looked at
	Reason  string                    `json:"reason,omitempty"`
	Figures map[string]target.Figures `json:"figures,omitempty"` // by deployment
}

// Traffic says who answers the requests to an endpoint, and who wanted that.
type Traffic struct {
	Shares []target.Share `json:"shares,omitempty"` // of the versions that get any; none: nothing is served
	Split  string         `json:"split,omitempty"`  // the split that says so; empty: the last that was ready answers
	Run    string         `json:"run,omitempty"`
	Stage  string         `json:"stage,omitempty"`
	Why    string         `json:"why,omitempty"`
}

// Share is the weight of a version; 0 when it gets no requests.
func (t Traffic) Share(deployment string) float64 {
	for _, s := range t.Shares {
		if s.Deployment == deployment {
			return s.Weight
		}
	}
	return 0
}

// Route changes who answers, if that is asked, and looks.
func (a *Activities) Route(ctx context.Context, q Routing) (Routed, error) {
	r, err := a.router(q.Target)
	if err != nil {
		return Routed{}, err
	}
	change := func(ctx context.Context) error { return q.change(ctx, r) }
	if err := beating(ctx, change); err != nil {
		return Routed{}, err
	}
	return q.look(ctx, r)
}

func (q Routing) change(ctx context.Context, r target.Router) error {
	if q.Split != nil {
		if err := r.Split(ctx, q.Target, *q.Split); err != nil {
			return fmt.Errorf("move requests of endpoint %q: %w", q.Endpoint, err)
		}
	}
	if q.Withdraw {
		if err := r.Withdraw(ctx, q.Target, q.Deployment); err != nil {
			return fmt.Errorf("give up %q: %w", q.Deployment, err)
		}
	}
	if q.Retire {
		if err := r.Retire(ctx, q.Target, q.Endpoint); err != nil {
			return fmt.Errorf("remove endpoint %q: %w", q.Endpoint, err)
		}
	}
	return nil
}

func (q Routing) look(ctx context.Context, r target.Router) (got Routed, err error) {
	if got.Traffic, err = TrafficOf(ctx, r, q.Target, q.Endpoint); err != nil {
		return got, err
	}
	if q.Deployment != "" {
		d, err := r.Deployed(ctx, q.Target, q.Deployment)
		if err != nil {
			return got, err
		}
		got.State, got.Reason = d.State, d.Reason
	}
	for id, since := range q.Since {
		f, err := r.Measured(ctx, q.Target, q.Endpoint, id, since)
		if errors.Is(err, target.ErrPermanent) {
			continue // somebody has removed it meanwhile: what stands above tells
		}
		if err != nil {
			return got, fmt.Errorf("measure %q: %w", id, err)
		}
		if got.Figures == nil {
			got.Figures = map[string]target.Figures{}
		}
		got.Figures[id] = f
	}
	return got, nil
}

// TrafficOf says who answers the requests to an endpoint now.
func TrafficOf(ctx context.Context, r target.Router, t target.Target, endpoint string) (Traffic, error) {
	changes, err := r.Changes(ctx, t, endpoint)
	if err != nil {
		return Traffic{}, fmt.Errorf("read the history of endpoint %q: %w", endpoint, err)
	}
	all, err := r.Endpoints(ctx, t)
	if err != nil {
		return Traffic{}, fmt.Errorf("look at endpoint %q: %w", endpoint, err)
	}
	live := ""
	for _, e := range all {
		if e.Name == endpoint {
			live = e.Live
		}
	}
	return traffic(changes, live), nil
}

// traffic follows from the last split, unless a deployment came after it that takes all
// requests as soon as it is ready. A deployment that is held may be told of, too, and
// answers nobody.
func traffic(changes []target.Change, live string) Traffic {
	for _, c := range slices.Backward(changes) {
		by := Traffic{Run: c.Run, Stage: c.Stage, Why: c.Why}
		switch {
		case live == "" && c.What == "retire":
			return by
		case c.What == "split" && c.Split != nil:
			by.Split = c.Split.ID
			for _, s := range c.Split.Shares {
				if s.Weight > 0 {
					by.Shares = append(by.Shares, s)
				}
			}
			if by.Share(live) > 0 {
				return by
			}
		case live != "" && c.What == "deploy" && c.Deployment == live:
			by.Shares = []target.Share{{Deployment: live, Weight: 100}}
			return by
		}
	}
	if live == "" {
		return Traffic{}
	}
	return Traffic{Shares: []target.Share{{Deployment: live, Weight: 100}}} // from before there was a history
}

func (a *Activities) router(t target.Target) (target.Router, error) {
	d, err := a.driver(t)
	if err != nil {
		return nil, err
	}
	r, ok := d.(target.Router)
	if !ok {
		return nil, temporal.NewNonRetryableApplicationError("targets of kind "+t.Kind+" cannot split requests", "cannot-route", nil)
	}
	return r, nil
}
