// Package rehearsal runs a plan with made-up results of its stages: the same workflow
// as ever, without targets, engine and network, and with time skipped.
package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Options is what a rehearsal needs besides its plan and its case.
type Options struct {
	Evaluate  func(context.Context, flow.Evaluation) (flow.Evaluated, error)
	Targets   []string               // of the workspace
	Artifacts map[string]schema.Type // parameters of the pipeline that are artifacts
}

// Result is what came of a case.
type Result struct {
	Progress *flow.Progress // nil: it did not run
	Took     time.Duration  // as the run's own clock has it
	Findings diag.Findings
}

// The run's id, and the time at which it begins. Both are the same every time.
const runID = "test"

var begins = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// forever is longer than any run: who waits until then waits in vain.
const forever = 8 * 365 * 24 * time.Hour

// Run carries out a case on its plan, which it may change, and holds what comes of it
// against what is expected. Findings are mistakes of the test and expectations that
// failed; an error says that the rehearsal itself went wrong.
func Run(ctx context.Context, t *schema.Test, c *schema.Case, p *plan.Plan, o Options) (Result, error) {
	if found := Check(t, c, p, o); found.Bad() {
		return Result{Findings: found}, nil
	}
	play := newPlay(t, c, o)
	play.nameParams(p)
	play.nameModels(p)
	ungroup(p)
	if err := play.perform(p); err != nil {
		return Result{}, err
	}
	progress := play.root
	if play.stuck != nil {
		progress = play.stuck
	}
	play.judge.unmocked(p, progress, "")
	if !play.judge.findings.Bad() { // what a test lacks explains all that follows from it
		play.judge.compare(p, progress, play)
	}
	r := Result{Progress: progress, Findings: play.judge.findings.Sort()}
	if !progress.Ended.IsZero() {
		r.Took = progress.Ended.Sub(progress.Started)
	}
	return r, ctx.Err()
}

// ungroup takes concurrency groups out of a plan: there are no other runs to wait for.
func ungroup(p *plan.Plan) {
	p.Group = nil
	for i := range p.Stages {
		s := &p.Stages[i]
		s.Group = nil
		if s.Deploy != nil {
			s.Deploy.Group = nil
		}
		if s.Fan != nil {
			for _, item := range s.Fan.Items {
				if item.Own != nil {
					item.Own.Group = nil
				}
			}
		}
		if s.Nested != nil {
			ungroup(s.Nested.Plan)
		}
	}
}

// perform runs the plan in Temporal's environment for tests.
func (p *play) perform(plan *plan.Plan) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the case %q cannot be carried out: %v", p.judge.c.Name, x)
		}
	}()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&stagehand{play: p}}, DeadlockDetectionTimeout: time.Hour})
	env.SetTestTimeout(time.Minute) // of the clock on the wall, with nothing to do
	env.SetStartTime(begins)
	for _, name := range []string{flow.Workflow, flow.NestedWorkflow} {
		env.RegisterWorkflowWithOptions(flow.Run, workflow.RegisterOptions{Name: name})
	}
	env.RegisterWorkflowWithOptions(flow.Items, workflow.RegisterOptions{Name: flow.ItemsWorkflow})
	cancel := func() { env.SignalWorkflow(flow.SignalCancel, nil); env.CancelWorkflow() }
	if after := p.judge.c.Cancel; after != nil {
		env.RegisterDelayedCallback(cancel, *after)
	}
	env.RegisterDelayedCallback(func() {
		p.stuck = copied(p.root)
		cancel()
		env.SignalWorkflow(flow.SignalCancel, nil) // nor does anybody wait for `finally`
	}, forever)
	env.ExecuteWorkflow(flow.Workflow, flow.Input{Run: runID, Plan: *plan, Store: "none", Control: "none"})
	return p.end(env.GetWorkflowError())
}

// end sees to it that the run came to its own end.
func (p *play) end(err error) error {
	if err != nil {
		if _, ok := flow.RecordOf(err); !ok {
			return fmt.Errorf("the case %q cannot be carried out: %w", p.judge.c.Name, err)
		}
	}
	if p.root == nil {
		return errors.New("the rehearsal has no record") // a mistake of ours
	}
	p.root = copied(p.root)
	return nil
}

// copied is v as it is on the other side of Temporal.
func copied[T any](v T) T {
	var out T
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("%T is not plain data: %v", v, err)) // a mistake of ours
	}
	return out
}
