package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// outrun is a Temporal whose first answers were outrun by the history.
type outrun struct {
	client.Client
	left, asked int
	other       error
}

func (o *outrun) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	o.asked++
	if o.left--; o.left >= 0 {
		return nil, serviceerror.NewQueryFailed("[TMPRL1100] invalid state transition: attempt to handleInitiatedEvent")
	}
	return nil, o.other
}

func TestAWorkflowIsAskedAgainWhenItsHistoryGrew(t *testing.T) {
	gone := serviceerror.NewNotFound("no such run")
	for name, tc := range map[string]struct {
		outrun
		asked int
		want  bool // that it ends with what the workflow said
	}{
		"once":             {outrun{left: 2}, 3, true},
		"always":           {outrun{left: 100}, askTimes, false},
		"something else":   {outrun{other: gone}, 1, true},
		"and another time": {outrun{left: 1, other: gone}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tc.outrun
				_, err := ask(t.Context(), &c, "w", "q")
				if c.asked != tc.asked || errors.Is(err, c.other) != tc.want {
					t.Errorf("asked %d times, want %d: %v", c.asked, tc.asked, err)
				}
			})
		})
	}
}
