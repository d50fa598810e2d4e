package server

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// busy reports whether any run of this state folder is open, or will be begun by a
// schedule. When Temporal does
// not answer, it is: a run may be waiting for it to come back.
func (o Options) busy(ctx context.Context, c client.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	queue, err := o.Seat.queue()
	if err != nil {
		return true
	}
	got, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: fmt.Sprintf("ExecutionStatus = 'Running' AND TaskQueue = '%s'", queue),
	})
	return err != nil || got.GetCount() > 0 || awaited(ctx, c, queue)
}
