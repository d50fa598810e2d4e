package engine

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/stretch"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// planOf reads the plan of a run. The first event of its history says where it is.
func (e *Engine) planOf(ctx context.Context, id string) (*plan.Plan, error) {
	input, err := e.inputOf(ctx, id)
	if err != nil {
		return nil, err
	}
	var in flow.Input
	if err := converter.GetDefaultDataConverter().FromPayload(input, &in); err != nil {
		return nil, fmt.Errorf("read the plan of run %s: %w", id, err)
	}
	if in.PlanRef == "" {
		return &in.Plan, nil
	}
	blobs, err := blob.OpenFolder(in.Store)
	if err != nil {
		return nil, err
	}
	return stretch.ReadPlan(ctx, blobs, in.PlanRef)
}

// FileOf is the file that the pipeline of a run was read from, as it was named then.
func (e *Engine) FileOf(ctx context.Context, id string) (string, error) {
	p, err := e.planOf(ctx, id)
	if err != nil {
		return "", err
	}
	for _, s := range p.Stages {
		if s.At.File != "" {
			return s.At.File, nil
		}
	}
	return "", fmt.Errorf("the plan of run %s does not say where it was written", id)
}

// inputOf is what a run was given when it began. Of its history only the first
// event is asked for: the rest may be long.
func (e *Engine) inputOf(ctx context.Context, id string) (*common.Payload, error) {
	var input *common.Payload
	err := e.do(ctx, func(ctx context.Context, c client.Client) error {
		got, err := c.WorkflowService().GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
			Namespace: e.namespace(), Execution: &common.WorkflowExecution{WorkflowId: idPrefix + id}, MaximumPageSize: 1,
		})
		if err != nil {
			return named(id, err)
		}
		for _, event := range got.GetHistory().GetEvents() {
			for _, p := range event.GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads() {
				input = p
				return nil
			}
		}
		return fmt.Errorf("the history of run %s does not say what it was given", id)
	})
	return input, err
}

// namespace is where the runs of this engine are.
func (e *Engine) namespace() string {
	if n := e.Info().Address.Namespace; n != "" {
		return n
	}
	return client.DefaultNamespace
}
