package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

// verifying is what a person wants compared.
type verifying struct {
	choices
	on        []string
	tolerance float64
}

func (p *program) verifyVerb() *cobra.Command {
	var c verifying
	v := &cobra.Command{
		Use:   "verify FILE [STAGE]",
		Short: "Run a stage on several targets and compare what comes out",
		Long: `Verify runs a stage once on each of several targets, at the same time, and compares
artifacts by their digests, values, and metrics within a tolerance:
  amlflow verify digits.pipeline.yaml train --targets local,gpu
What the stage needs is taken from an earlier run when it is as it would be now, else
it is run once, where the pipeline says. Without STAGE every stage that runs something
is compared, each from the same results. The same target may be named twice, to see
whether a stage gives the same results again. Nothing is deployed, and earlier results
of the stage itself are not used.

It ends with 20 when a result differs, with 10 when the stage failed somewhere.
-o json prints {"equal","tolerance","stages":[{"stage","equal","on":[{"target","run","status","error"}],
 "results":[{"result","name","equal","values"}]}]}.`,
		Args: takes(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
			err := p.verify(cmd, args, &c)
			if interrupted(ctx, err) {
				p.say("interrupted: the runs that were begun are cancelled")
				return silently(exitInterrupted)
			}
			return err
		},
	}
	c.flags(v)
	v.Flags().StringSliceVar(&c.on, "targets", nil, "the targets to compare, as A,B; the others are held against the first")
	v.Flags().Float64Var(&c.tolerance, "tolerance", 1e-6, "how far metrics may differ, as a part of the larger one where that is more than 1")
	return p.prints(v, "json")
}

// comparison is one stage on several targets.
type comparison struct {
	Stage   string            `json:"stage"`
	Equal   bool              `json:"equal"`
	On      []comparedOn      `json:"on"`
	Results []engine.Sameness `json:"results"`
}

// comparedOn is what became of the stage on one target.
type comparedOn struct {
	Target string       `json:"target"`
	Run    string       `json:"run"`
	Status target.State `json:"status"`
	Error  *string      `json:"error"`
}

func (p *program) verify(cmd *cobra.Command, args []string, c *verifying) error {
	if len(c.on) < 2 {
		return usage(fmt.Errorf("%q compares at least two targets: write --targets A,B", cmd.CommandPath()))
	}
	if !(c.tolerance >= 0) {
		return usage(fmt.Errorf("--tolerance %g is no tolerance: write 0 or more", c.tolerance))
	}
	made, err := p.prepare(cmd, args[0], &c.choices, engine.ToRun)
	if err != nil {
		return err
	}
	stages, err := p.verifiable(made.Plan, args[1:])
	if err != nil {
		return err
	}
	plans, err := p.plansOn(cmd, args[0], c, stages)
	if err != nil {
		return err
	}
	e, err := p.open(cmd.Context(), made.Workspace, p.notice)
	if err != nil {
		return err
	}
	defer e.Close()
	all := []comparison{}
	for i, stage := range stages {
		one, err := p.compareOn(cmd.Context(), e, made, stage, plans[i], c)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	return p.compared(all, c.tolerance)
}

// verifiable are the stages to compare: the one that is named, or all that can be.
func (p *program) verifiable(pl *plan.Plan, named []string) ([]string, error) {
	if len(named) == 1 {
		if pl.Stage(named[0]) == nil {
			var known []string
			for _, s := range pl.Stages {
				known = append(known, s.Name)
			}
			return nil, unknown("stage", named[0], known)
		}
		return named, engine.Verifiable(pl, named[0])
	}
	var stages []string
	for _, s := range pl.Stages {
		if !s.Finally && engine.Verifiable(pl, s.Name) == nil {
			stages = append(stages, s.Name)
		}
	}
	if len(stages) == 0 {
		return nil, usage(fmt.Errorf("no stage of pipeline %q runs something whose results could be compared", pl.Pipeline))
	}
	return stages, nil
}

// plansOn makes for each stage a plan for each target, in which the stage runs there.
func (p *program) plansOn(cmd *cobra.Command, file string, c *verifying, stages []string) ([][]*plan.Plan, error) {
	var out [][]*plan.Plan
	for _, stage := range stages {
		var plans []*plan.Plan
		for _, t := range c.on {
			there := c.choices
			there.targets = append(slices.Clone(c.targets), stage+"="+t)
			o, err := there.options(p, engine.ToRun)
			if err != nil {
				return nil, err
			}
			made, findings, err := engine.Prepare(cmd.Context(), file, o)
			if err != nil {
				return nil, err
			}
			if findings.Bad() { // warnings were shown before
				return nil, p.refuse(&there.reports, findings, filesOf(made), made.Line)
			}
			plans = append(plans, made.Plan)
		}
		out = append(out, plans)
	}
	return out, nil
}

func (p *program) compareOn(ctx context.Context, e *engine.Engine, made *engine.Prepared, stage string, plans []*plan.Plan, c *verifying) (comparison, error) {
	one := comparison{Stage: stage, Equal: true, Results: []engine.Sameness{}}
	p.say("stage %q on %s", stage, join(c.on))
	runs, err := e.Verify(ctx, engine.Verifying{Stage: stage, Plans: plans, Store: made.Store, Notice: p.notice,
		Begin: func(ctx context.Context, r engine.Request) (string, error) { return p.begin(ctx, e, made, r) }})
	if err != nil {
		return one, err
	}
	var results []*flow.StageProgress
	succeeded := true
	for i, r := range runs {
		s := r.Stage(stage)
		results = append(results, s)
		one.On = append(one.On, comparedOn{Target: c.on[i], Run: r.Run, Status: s.Status, Error: text(or(s.Error, or(r.Error, s.Why)))})
		succeeded = succeeded && s.Status == target.Succeeded
	}
	if !succeeded {
		one.Equal = false
		return one, nil
	}
	one.Results = append(one.Results, engine.Compare(results, c.tolerance)...)
	one.Equal = !slices.ContainsFunc(one.Results, func(s engine.Sameness) bool { return !s.Equal })
	return one, nil
}

// begin starts a run with what it needs of this shell.
func (p *program) begin(ctx context.Context, e *engine.Engine, made *engine.Prepared, r engine.Request) (id string, err error) {
	r.Dir, r.Host = whole(made.Workspace.Dir), hostEnv(os.Environ())
	if r.Secrets, err = engine.GatherSecrets(p.home, flow.Secrets(r.Plan, r.Dir), os.LookupEnv); err != nil {
		return "", ended{exitNotFound, err}
	}
	return e.Start(context.WithoutCancel(ctx), r) // once asked for, it may have begun
}

// compared prints what came of it, and ends as it says.
func (p *program) compared(all []comparison, tolerance float64) error {
	code := exitOK
	for _, one := range all {
		failed := slices.ContainsFunc(one.On, func(o comparedOn) bool { return o.Status != target.Succeeded })
		switch {
		case failed:
			code = exitFailed
		case !one.Equal && code == exitOK:
			code = exitChanges
		}
	}
	if p.output == "json" {
		if err := p.json(map[string]any{"equal": code == exitOK, "tolerance": tolerance, "stages": all}); err != nil {
			return err
		}
		return silently(code)
	}
	for i, one := range all {
		if i > 0 {
			p.print("")
		}
		p.printComparison(one)
	}
	return silently(code)
}

func (p *program) printComparison(one comparison) {
	head := []string{"STAGE " + one.Stage, "RESULT"}
	runs := []string{"", "run"}
	for _, o := range one.On {
		head, runs = append(head, o.Target), append(runs, o.Run)
	}
	rows := [][]string{p.heading(head...), runs}
	for _, r := range one.Results {
		word := p.paintOut(green, "equal")
		if !r.Equal {
			word = p.paintOut(red, "different")
		}
		row := []string{word, r.Result + " " + r.Name}
		for _, v := range r.Values {
			row = append(row, cellOf(v))
		}
		rows = append(rows, row)
	}
	table(p.out, rows)
	for _, o := range one.On {
		if o.Status != target.Succeeded {
			why := ""
			if o.Error != nil {
				why = ": " + clean(*o.Error)
			}
			p.print("%s on %s: %s%s", one.Stage, o.Target, state(p.colourOut, o.Status), why)
		}
	}
}

// cellOf is a result as it is written into a table: of an artifact the beginning of its digest, of a number
// all digits that tell it from others.
func cellOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case float64:
		return fmt.Sprint(v)
	case string:
		if ref := target.Ref(v); ref.Valid() {
			return strings.TrimSuffix(v, ref.Hex()) + ref.Hex()[:12]
		}
	}
	return fmt.Sprintf("%.60s", value(v))
}
