package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// orphansWithin bounds how long a server looks for what its predecessor has left: what it
// does not find is found by its silence.
const orphansWithin = 20 * time.Second

// orphansAtOnce is of how many runs it looks for it at the same time.
const orphansAtOnce = 16

// adopt gives up, in the name of a predecessor that was killed, what that was doing. The
// seat is ours alone, so that nobody else can be doing it; without a word Temporal would
// wait until the silence has lasted for the length of a heartbeat. It comes before the
// workers, which take these things up again.
func (o Options) adopt(ctx context.Context, c client.Client, namespace, queue string) {
	ctx, cancel := context.WithTimeout(ctx, orphansWithin)
	defer cancel()
	query := fmt.Sprintf("ExecutionStatus = 'Running' AND TaskQueue = '%s'", queue)
	var looking sync.WaitGroup
	defer looking.Wait()
	places := make(chan struct{}, orphansAtOnce)
	for page := []byte(nil); ; {
		got, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000, NextPageToken: page})
		if err != nil {
			o.Log.Warn("what the last server was doing could not be listed", "error", err)
			return
		}
		for _, w := range got.GetExecutions() {
			places <- struct{}{}
			looking.Go(func() {
				defer func() { <-places }()
				if err := o.giveUp(ctx, c, namespace, w.GetExecution()); err != nil {
					o.Log.Warn("what the last server was doing is left to time out", "workflow", w.GetExecution().GetWorkflowId(), "error", err)
				}
			})
		}
		if page = got.GetNextPageToken(); len(page) == 0 {
			return
		}
	}
}

// giveUp fails the activities of a workflow that a worker had taken, so that they are
// tried again at once.
func (o Options) giveUp(ctx context.Context, c client.Client, namespace string, w *common.WorkflowExecution) error {
	d, err := c.DescribeWorkflowExecution(ctx, w.GetWorkflowId(), w.GetRunId())
	if err != nil {
		return err
	}
	for _, a := range d.GetPendingActivities() {
		if !taken(a) {
			continue
		}
		_, err := c.WorkflowService().RespondActivityTaskFailedById(ctx, &workflowservice.RespondActivityTaskFailedByIdRequest{
			Namespace: namespace, WorkflowId: w.GetWorkflowId(), RunId: w.GetRunId(), ActivityId: a.GetActivityId(),
			Failure: &failure.Failure{Message: "its worker was killed", FailureInfo: &failure.Failure_TimeoutFailureInfo{
				TimeoutFailureInfo: &failure.TimeoutFailureInfo{TimeoutType: enums.TIMEOUT_TYPE_HEARTBEAT, LastHeartbeatDetails: a.GetHeartbeatDetails()},
			}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func taken(a *workflow.PendingActivityInfo) bool {
	return a.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED
}

// namespaceOf is where the runs of an address are.
func namespaceOf(a cluster.Address) string {
	if a.Namespace == "" {
		return client.DefaultNamespace
	}
	return a.Namespace
}
