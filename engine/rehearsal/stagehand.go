package rehearsal

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// stagehand stands between workflows and all that they ask for, and gives it to them
// itself: no activity is ever run. So everything happens in one thread, at a time of
// the workflow's own clock, and in the same order every time.
type stagehand struct {
	interceptor.WorkerInterceptorBase
	play *play
}

// InterceptWorkflow is called for each workflow that begins.
func (s *stagehand) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &entrance{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, play: s.play}
}

// entrance sees what a workflow is given.
type entrance struct {
	interceptor.WorkflowInboundInterceptorBase
	play *play
	exit *exit
}

// Init is called first.
func (e *entrance) Init(out interceptor.WorkflowOutboundInterceptor) error {
	e.exit = &exit{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: out}, play: e.play, alarms: map[time.Time][]func(){}, gates: map[string]bool{}}
	return e.Next.Init(e.exit)
}

// ExecuteWorkflow remembers which run the workflow is.
func (e *entrance) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	switch arg := in.Args[0].(type) {
	case flow.Input:
		e.exit.run, e.exit.digest = arg.Run, arg.Plan.Digest
	case flow.ItemsInput:
		e.exit.run, e.exit.digest = arg.Input.Run, arg.Input.Plan.Digest
	}
	return e.Next.ExecuteWorkflow(ctx, in)
}

// exit is asked for what a workflow wants done.
type exit struct {
	interceptor.WorkflowOutboundInterceptorBase
	play        *play
	run, digest string
	alarms      map[time.Time][]func() // what happens at a time
	progress    *flow.Progress
	gates       map[string]bool // stages whose people were asked
	may         func(workflow.Context, flow.Decision) error
	decide      func(workflow.Context, flow.Decision) error
}

// ExecuteActivity answers in place of a worker.
func (e *exit) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	switch arg := args[0].(type) {
	case workers.Submission:
		if name == workers.Stop {
			return e.after(ctx, 0, cancelled)
		}
		out, takes := e.play.job(e.play.unit(e.run, arg.Job.ID), arg)
		return e.after(ctx, takes, out)
	case workers.Rollout:
		if name == workers.Withdraw {
			return e.after(ctx, 0, cancelled)
		}
		out, takes := e.play.rollout(e.play.unit(e.run, arg.Deployment.ID), arg)
		return e.after(ctx, takes, out)
	case workers.Enrolment:
		return e.after(ctx, 0, arg.Outcome)
	case workers.Routing:
		return e.after(ctx, 0, e.play.routing(e.run, arg))
	case []target.Target:
		return e.after(ctx, 0, e.play.choose(arg))
	case workers.Gathering:
		ref, err := e.play.names.gather(arg.List)
		if err != nil {
			return failed(ctx, temporal.NewNonRetryableApplicationError(err.Error(), "not-artifacts", err))
		}
		return e.after(ctx, 0, ref)
	case []workers.Finished: // there is nothing to clean
		return e.after(ctx, 0, nil)
	}
	return failed(ctx, fmt.Errorf("a rehearsal does not know the activity %q", name)) // a mistake of ours
}

// ExecuteLocalActivity evaluates expressions, as a worker would.
func (e *exit) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	asked, ok := args[0].(flow.Evaluation)
	if !ok {
		return failed(ctx, fmt.Errorf("a rehearsal does not know the local activity %q", name))
	}
	got, err := e.play.o.Evaluate(context.Background(), copied(asked))
	if err != nil {
		return failed(ctx, err)
	}
	return e.after(ctx, 0, copied(got))
}

// ExecuteChildWorkflow runs the pipeline of a stage, unless the test says what comes of it.
func (e *exit) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	in, nested := args[0].(flow.Input)
	if !nested {
		return e.Next.ExecuteChildWorkflow(ctx, name, args...)
	}
	u := e.play.unit(e.run, in.Run)
	e.play.inside[in.Run] = u.path + "/"
	p, takes, said := e.play.nested(u, in)
	switch {
	case !said:
		return e.Next.ExecuteChildWorkflow(ctx, name, args...)
	case p.Status != target.Succeeded:
		return child{e.then(ctx, takes, func(s workflow.Settable) {
			s.SetError(temporal.NewNonRetryableApplicationError("it failed", flow.NotSucceeded, nil, *p))
		})}
	}
	return child{e.after(ctx, takes, p)}
}

// child is the end of a workflow that is not run.
type child struct{ workflow.Future }

// GetChildWorkflowExecution implements workflow.ChildWorkflowFuture.
func (c child) GetChildWorkflowExecution() workflow.Future { return c.Future }

// SignalChildWorkflow implements workflow.ChildWorkflowFuture.
func (c child) SignalChildWorkflow(workflow.Context, string, any) workflow.Future { return c.Future }

func failed(ctx workflow.Context, err error) workflow.Future {
	f, set := workflow.NewFuture(ctx)
	set.SetError(err)
	return f
}

// after gives v once the time has passed.
func (e *exit) after(ctx workflow.Context, takes time.Duration, v any) workflow.Future {
	return e.then(ctx, takes, func(s workflow.Settable) { s.SetValue(v) })
}

// then settles a future once the time has passed, or when ctx is cancelled before.
func (e *exit) then(ctx workflow.Context, takes time.Duration, settle func(workflow.Settable)) workflow.Future {
	f, set := workflow.NewFuture(ctx)
	switch {
	case ctx.Err() != nil:
		set.SetError(ctx.Err())
		return f
	case takes == 0:
		settle(set)
		return f
	}
	e.alarm(ctx, takes, func() {
		if !f.IsReady() {
			settle(set)
		}
	})
	workflow.Go(ctx, func(ctx workflow.Context) {
		s := workflow.NewSelector(ctx)
		s.AddFuture(f, func(workflow.Future) {})
		s.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {
			if !f.IsReady() {
				set.SetError(ctx.Err())
			}
		})
		s.Select(ctx)
	})
	return f
}

// alarm calls f once the time has passed. What happens at the same time shares one
// timer: the environment cannot fire thousands at once.
func (e *exit) alarm(ctx workflow.Context, takes time.Duration, f func()) {
	at := workflow.Now(ctx).Add(takes)
	if others, set := e.alarms[at]; set {
		e.alarms[at] = append(others, f)
		return
	}
	e.alarms[at] = []func(){f}
	away, release := workflow.NewDisconnectedContext(ctx)
	workflow.Go(away, func(ctx workflow.Context) {
		defer release()
		if workflow.Sleep(ctx, takes) != nil {
			return
		}
		due := e.alarms[at]
		delete(e.alarms, at)
		for _, f := range due {
			f()
		}
	})
}
