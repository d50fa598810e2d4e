package main

import (
	"context"
	"os"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

func (p *program) runVerb() *cobra.Command {
	var c choices
	var key string
	var leave bool
	v := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline and watch it",
		Long: `Run checks a pipeline, makes its plan, starts it and watches until it ends.
Ctrl-C stops watching; the run goes on.

-o json prints one object at the end, the same as ` + "`status -o json`" + `:
  {"run","pipeline","status","stages":{NAME:{"status","target","attempts","started",
   "ended","exit","outputs","metrics","error",…}},"outputs",…}
-o ndjson prints an event a line as they happen:
  {"time","type":"run"|"stage"|"metric"|"end","run",…}
Mistakes in the files end it with 3 and, with -o json, {"findings":[…]}.

With --idempotency-key, submitting once more, or many times at once, gives one run:
all watch it and end as it does. The same key for something else ends with 7.
A key for CI names the event, and the pipeline when several are run:
  amlflow run FILE --idempotency-key "$GITHUB_RUN_ID/$GITHUB_RUN_ATTEMPT/digits"`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
			if err := checkKey(cmd, key); err != nil {
				return err
			}
			return p.run(cmd, args[0], &c, key, leave)
		},
	}
	c.flags(v)
	v.Flags().StringVar(&key, keyFlag, "", "name this submission: asked again with the same key, the run that has it is taken, running or ended")
	v.Flags().BoolVarP(&leave, "detach", "d", false, "return as soon as the run has started")
	return p.prints(v, "json", "ndjson")
}

func (p *program) run(cmd *cobra.Command, file string, c *choices, key string, leave bool) error {
	made, err := p.prepare(cmd, file, c, engine.ToRun)
	if err != nil {
		return p.before(cmd.Context(), err)
	}
	if p.output == "table" && !leave {
		p.briefly(p.err, made)
	}
	v := p.newView(made)
	e, err := p.open(cmd.Context(), made.Workspace, v.notice)
	if err != nil {
		return p.before(cmd.Context(), err)
	}
	defer e.Close()
	id, err := p.start(cmd.Context(), e, made, key)
	if err != nil {
		return err
	}
	if leave {
		return p.left(id)
	}
	return p.watch(cmd.Context(), e, id, v)
}

// start begins the run of a plan, with what it needs of this shell's environment. One
// that has the key already needs nothing of it.
func (p *program) start(ctx context.Context, e *engine.Engine, made *engine.Prepared, key string) (string, error) {
	if id, err := p.known(ctx, e, made, key); id != "" || err != nil {
		return id, err
	}
	dir := whole(made.Workspace.Dir)
	sealed, err := engine.GatherSecrets(p.home, flow.Secrets(made.Plan, dir), os.LookupEnv)
	if err != nil {
		return "", ended{exitNotFound, err}
	}
	// Once asked for, a run may have begun: Ctrl-C must not lose its id.
	return e.Start(context.WithoutCancel(ctx), engine.Request{Plan: made.Plan, Store: made.Store, Dir: dir, Host: hostEnv(os.Environ()), Secrets: sealed, Key: key})
}

// before says of a Ctrl-C that it came before there was a run.
func (p *program) before(ctx context.Context, err error) error {
	if !interrupted(ctx, err) {
		return err
	}
	p.say("interrupted: no run was started")
	return silently(exitInterrupted)
}

// refuse shows and reports the findings, and returns an error when one keeps the pipeline
// from running. Machines get the errors as data, and only those: what else is
// printed for them is one object.
func (p *program) refuse(r *reports, findings diag.Findings, files []string, lines diag.Lookup) error {
	if err := p.deliver(r, findings, files, lines); err != nil {
		return err
	}
	if !findings.Bad() {
		return nil
	}
	if p.output == "json" || p.output == "ndjson" {
		if err := diag.JSON(p.out, findings); err != nil {
			return err
		}
	}
	return silently(exitInvalid)
}

// left says which run was started.
func (p *program) left(id string) error {
	if p.output == "json" || p.output == "ndjson" {
		return p.json(map[string]string{"run": id})
	}
	p.print("%s", id)
	p.say("it runs in the background; watch it with `%s wait %s`", invocation(), id)
	return nil
}

// watch follows a run to its end and says how it ended.
func (p *program) watch(ctx context.Context, e *engine.Engine, id string, v view) error {
	r, err := v.follow(ctx, e, id)
	if interrupted(ctx, err) {
		return p.comeBack(id)
	}
	if err != nil {
		return err
	}
	if err := v.end(r); err != nil {
		return err
	}
	return silently(codeOfRun(r))
}

// comeBack is for a person who stopped watching.
func (p *program) comeBack(id string) error {
	do := invocation()
	p.say("")
	p.say("run %s goes on without you", id)
	p.say("  how it stands   %s status %s", do, id)
	p.say("  watch it again  %s wait %s", do, id)
	p.say("  what it prints  %s logs %s", do, id)
	p.say("  stop it         %s cancel %s", do, id)
	return silently(exitInterrupted)
}
