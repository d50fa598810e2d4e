package workers

import (
	"context"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
)

// Deploy asks a target to serve a deployment and follows it until it is live or
// has failed. Called again, it goes on following.
func (a *Activities) Deploy(ctx context.Context, r Rollout) (Outcome, error) {
	s, err := a.server(r.Target)
	if err != nil {
		return Outcome{}, err
	}
	blobs, err := a.Store(r.Store)
	if err != nil {
		return Outcome{}, err
	}
	begun := time.Now()
	deploy := func(ctx context.Context) error { return s.Deploy(ctx, r.Target, r.Deployment, blobs) }
	if err := beating(ctx, deploy); err != nil {
		return refused(ctx, err, patientTries)
	}
	return followRollout(ctx, s, r, begun)
}

// Withdraw gives up a deployment that is not live yet.
func (a *Activities) Withdraw(ctx context.Context, r Rollout) (Outcome, error) {
	s, err := a.server(r.Target)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.Withdraw(ctx, r.Target, r.Deployment.ID); err != nil {
		return Outcome{}, err
	}
	return followRollout(ctx, s, r, time.Now())
}

func followRollout(ctx context.Context, s target.Server, r Rollout, begun time.Time) (Outcome, error) {
	pause, last := lookFirst, time.Time{}
	for {
		got, err := s.Deployed(ctx, r.Target, r.Deployment.ID)
		if err != nil {
			return Outcome{}, err
		}
		if got.State.Ended() {
			return rolledOut(got, begun), nil
		}
		if time.Since(last) >= beat {
			life(ctx).beat(got.State)
			last = time.Now()
		}
		select {
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*3/2, lookMost)
	}
}

func rolledOut(got target.Rollout, begun time.Time) Outcome {
	o := Outcome{URL: got.URL, Answer: got.Answer}
	o.Status = target.Status{State: got.State, Reason: got.Reason, Start: begun, End: time.Now()}
	switch got.State {
	case target.Failed:
		if o.Cause = got.Cause; o.Cause == "" {
			o.Cause = target.CauseStart
		}
	case target.Lost:
		o.Cause = target.CauseLost
	case target.Cancelled:
		o.Cause = target.CauseCancel
	}
	if log := strings.TrimRight(got.Log, "\n"); log != "" && got.State != target.Succeeded {
		o.Tail = lastLines(strings.NewReader(log))
	}
	return o
}

func (a *Activities) server(t target.Target) (target.Server, error) {
	d, err := a.driver(t)
	if err != nil {
		return nil, err
	}
	s, ok := d.(target.Server)
	if !ok {
		return nil, temporal.NewNonRetryableApplicationError("targets of kind "+t.Kind+" cannot serve models", "cannot-serve", nil)
	}
	return s, nil
}
