package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// How often a workflow is asked again that seems not to fit its history, and how long
// after.
const (
	askTimes = 6
	askPause = 50 * time.Millisecond
)

// ask asks a workflow what it knows. Where no worker has the workflow in memory, its
// history is replayed for the answer. When the history grows between the moment that
// Temporal asks and the moment that the worker reads it, the SDK takes what is new for
// a sign that the workflow is another one (temporalio/sdk-go issue 755). It is none, so
// the question is put again.
func ask(ctx context.Context, c client.Client, workflow, query string) (converter.EncodedValue, error) {
	for try := 1; ; try++ {
		v, err := c.QueryWorkflow(ctx, workflow, "", query)
		var failed *serviceerror.QueryFailed
		if try == askTimes || !errors.As(err, &failed) || !strings.Contains(failed.Message, "[TMPRL1100]") {
			return v, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(askPause):
		}
	}
}
