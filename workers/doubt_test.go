package workers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// away is a driver whose target cannot be reached.
type away struct {
	target.Driver
	submit, status error
}

func (a away) Submit(context.Context, target.Target, target.Job, target.Blobs) error { return a.submit }

func (a away) Status(context.Context, target.Target, string) (target.Status, error) {
	return target.Status{State: target.Running}, a.status
}

func TestOutOfReach(t *testing.T) {
	cut := target.Unreachable(errors.New("the line is cut"))
	gone := target.Untouched(cut)
	locked := errors.Join(errors.New("who may log in"), target.ErrPermanent)
	for name, c := range map[string]struct {
		driver  away
		doubt   workers.Doubt
		timeout time.Duration
		others  bool
		tries   int
		want    target.State // empty: it is tried again
		cause   target.Cause
	}{
		"nothing began, and another target would do": {driver: away{submit: gone}, others: true, tries: 5, want: target.Failed, cause: target.CauseCapacity},
		"nothing began, and no other would do":       {driver: away{submit: gone}, tries: 34},
		"it may have begun with this call":           {driver: away{submit: cut}, others: true, tries: 100},
		"it may have begun before":                   {driver: away{submit: gone}, doubt: workers.Doubt{Maybe: true}, others: true, tries: 100},
		"it began, and cannot be seen":               {driver: away{status: cut}, others: true, tries: 100},
		"it began, and nobody may look any more":     {driver: away{status: locked}, others: true, tries: 100},
		"it ran, and cannot have for so long":        {driver: away{submit: gone}, doubt: workers.Doubt{Maybe: true, Seen: time.Now().Add(-time.Hour)}, timeout: 30 * time.Minute, tries: 1, want: target.Lost, cause: target.CauseLost},
		"it ran, and may do so still":                {driver: away{submit: gone}, doubt: workers.Doubt{Maybe: true, Seen: time.Now().Add(-time.Hour)}, timeout: time.Hour, tries: 100},
		"it may wait there for as long as it likes":  {driver: away{submit: gone}, doubt: workers.Doubt{Maybe: true}, timeout: time.Nanosecond, tries: 100},
		"nobody may log in":                          {driver: away{submit: locked}, tries: 1, want: target.Failed, cause: target.CauseStart},
	} {
		t.Run(name, func(t *testing.T) {
			c.driver.Driver = dummy.New()
			a := &workers.Activities{
				Drivers: map[string]target.Driver{"local": c.driver},
				Store:   func(string) (target.Blobs, error) { return &targettest.Blobs{}, nil },
			}
			s := workers.Submission{Target: target.Target{Name: "far", Kind: "local"}, Job: target.Job{ID: "r.s.1", Timeout: c.timeout}, Others: c.others}
			ctx := workers.WithDoubt(t.Context(), &c.doubt)
			var out workers.Outcome
			var err error
			for try := 1; try <= c.tries; try++ {
				if out, err = a.Try(ctx, workers.Run, s, try); err == nil || workers.Final(err) {
					break
				}
			}
			switch {
			case c.want == "" && (err == nil || workers.Final(err)):
				t.Errorf("it was given up: %v %v", out, err)
			case c.want != "" && (err != nil || out.State != c.want || out.Cause != c.cause):
				t.Errorf("it is %s by %s (%v), want %s by %s", out.State, out.Cause, err, c.want, c.cause)
			}
			if text := out.Reason + " " + errorText(err); strings.Contains(text, "unreachable") || strings.Contains(text, "permanent") {
				t.Errorf("people are told %q", text)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
