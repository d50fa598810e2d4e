package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) planVerb() *cobra.Command {
	var c choices
	var detailed, files bool
	v := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a run would do, and start nothing",
		Long: `Plan decides everything that can be decided before a run: parameters, targets,
order and resources. The same files and flags give the same plan. Of each stage it
says what a run would do now, and why: run it, reuse earlier results, skip it, or
let something decide during the run. -o json prints the plan whole, and as
"forecast" what would be done.

--files shows instead which files of the code folders a run would ship, and which
line of which ignore file leaves out the others. With --detailed-exitcode it ends with 20 when a run would do anything anew.`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if files {
				return p.planFiles(cmd, args[0], &c)
			}
			made, err := p.prepare(cmd, args[0], &c, engine.ToLook)
			if err != nil {
				return err
			}
			o, err := c.options(p, engine.ToLook)
			if err != nil {
				return err
			}
			forecast := made.Forecast(cmd.Context())
			if p.output == "json" {
				err = p.json(planned{made.Plan, forecast})
			} else {
				p.showPlan(made, forecast, o.Targets)
			}
			if err == nil && detailed && flow.Changes(forecast) {
				err = silently(exitChanges)
			}
			return err
		},
	}
	v.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 20 when a run would do anything anew")
	c.flags(v)
	v.Flags().BoolVar(&files, "files", false, "show the files of the code, and what is left out of it")
	return p.prints(v, "json")
}

// planned is the plan as machines read it.
type planned struct {
	*plan.Plan
	Forecast []flow.Foresight `json:"forecast"`
}

// prepare makes the plan of a file, and shows what is wrong with it.
func (p *program) prepare(cmd *cobra.Command, file string, c *choices, why engine.Purpose) (*engine.Prepared, error) {
	o, err := c.options(p, why)
	if wrong := diag.Of(err); len(wrong) > 0 {
		return nil, p.refuse(&c.reports, wrong, []string{file}, fileLines())
	}
	if err != nil {
		return nil, err
	}
	made, findings, err := engine.Prepare(cmd.Context(), file, o)
	if err != nil {
		return nil, err
	}
	for _, note := range made.Notes {
		p.say("%s", note)
	}
	return made, p.refuse(&c.reports, findings, filesOf(made), made.Line)
}

// showPlan is the plan as a table and, below it, the reasons.
func (p *program) showPlan(made *engine.Prepared, forecast []flow.Foresight, over map[string]string) {
	pl := made.Plan
	p.print("%s", heading(pl))
	p.print("")
	rows := [][]string{p.heading("STAGE", "WILL", "DOES", "TARGET", "NEEDS", "ASKS FOR", "IF")}
	for i := range pl.Stages {
		rows = append(rows, p.planRow(&pl.Stages[i], "", p.verdict(forecast[i].Verdict)))
		rows = p.nestedRows(rows, &pl.Stages[i], "  ")
	}
	table(p.out, rows)
	if why := slices.Concat(foreseen(pl, forecast), reasons(made, over), pinned(pl), moves(pl.Stages, "")); len(why) > 0 {
		p.print("")
		for _, w := range why {
			p.print("%s", clean(w))
		}
	}
}

func (p *program) planRow(s *plan.Stage, indent, will string) []string {
	when := condition(s.If)
	if s.Finally {
		when = "at the end; " + when
	}
	return []string{indent + s.Name, will, does(s), or(places(s.Targets, true), "-"), or(needs(s), "-"), or(asks(s.Asks, s.Launch), "-"), strings.TrimSuffix(when, "; ")}
}

// nestedRows are the stages of the pipeline that a stage runs. What becomes of them is
// told by the stage.
func (p *program) nestedRows(rows [][]string, s *plan.Stage, indent string) [][]string {
	if s.Nested == nil {
		return rows
	}
	for i := range s.Nested.Plan.Stages {
		inner := &s.Nested.Plan.Stages[i]
		rows = p.nestedRows(append(rows, p.planRow(inner, indent, "")), inner, indent+"  ")
	}
	return rows
}

func (p *program) verdict(v flow.Verdict) string {
	return p.paintOut(map[flow.Verdict]string{flow.WillReuse: green, flow.Gated: yellow, flow.WillSkip: dim}[v], string(v))
}

// foreseen says why, where it is not plain: a stage that runs without asking for
// earlier results needs no word.
func foreseen(pl *plan.Plan, all []flow.Foresight) []string {
	var out []string
	for i, f := range all {
		why := f.Why
		if f.Reused != nil {
			why += fmt.Sprintf(" since run %s", f.Reused.Run)
		}
		if s := pl.Stages[i]; f.Verdict != flow.WillRun || s.Cache != nil {
			out = append(out, fmt.Sprintf("%s: %s: %s", f.Stage, f.Verdict, why))
		}
	}
	return out
}

// briefly is the plan in a few lines, before a run.
func (p *program) briefly(w io.Writer, made *engine.Prepared) {
	fmt.Fprintln(w, heading(made.Plan))
	var rows [][]string
	for i, s := range made.Plan.Stages {
		if i == 20 && len(made.Plan.Stages) > 24 {
			rows = append(rows, []string{"  …", fmt.Sprintf("and %d more", len(made.Plan.Stages)-i)})
			break
		}
		rest := needs(&s)
		if rest != "" {
			rest = "after " + rest
		}
		if s.Finally {
			rest = "at the end, whatever happened"
		}
		where := does(&s)
		if len(s.Targets) > 0 {
			where = "on " + places(s.Targets, false)
		}
		rows = append(rows, []string{"  " + s.Name, where, asks(s.Asks, s.Launch), rest})
	}
	table(w, rows)
}

func heading(pl *plan.Plan) string {
	s := "pipeline " + pl.Pipeline
	if pl.Profile != "" {
		s += ", profile " + pl.Profile
	}
	for i, name := range slices.Sorted(maps.Keys(pl.Params)) {
		sep := " "
		if i == 0 {
			sep = ": "
		}
		s += sep + name + "=" + value(pl.Params[name])
	}
	return s
}

func does(s *plan.Stage) string {
	what := "script"
	switch {
	case s.Batch != nil:
		what = dealt(s.Batch)
	case s.Deploy != nil:
		what = "deploys " + s.Deploy.Endpoint
		if m := s.Deploy.Named; m != nil {
			what = fmt.Sprintf("deploys %s with %s", s.Deploy.Endpoint, m)
		}
	case s.Approve != nil:
		what = "asks " + or(strings.Join(s.Approve.By, ", "), "somebody")
	case s.Nested != nil:
		what = "pipeline " + s.Nested.Plan.Pipeline
	case len(s.Command) > 0:
		what = "command"
	}
	for _, f := range s.Frames[:min(len(s.Frames), 1)] {
		what = "template " + f.Template
	}
	if s.Sweep != nil {
		what += ", " + tunes(s.Sweep)
	}
	switch f := s.Fan; {
	case f == nil:
	case f.List != nil:
		what += ", for each item"
	default:
		what += fmt.Sprintf(", %d times", len(f.Items))
	}
	return what
}

func places(ts []target.Target, kinds bool) string {
	var names []string
	for _, t := range ts {
		name := t.Name
		if kinds && t.Kind != t.Name {
			name += " (" + t.Kind + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", else ")
}

func needs(s *plan.Stage) string {
	const most = 8
	var names []string
	for i, n := range s.Needs {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(s.Needs)-i))
			break
		}
		names = append(names, n.Stage)
	}
	return strings.Join(names, ", ")
}

func asks(r target.Resources, l *target.Launch) string {
	var parts []string
	if r.Nodes > 1 {
		parts = append(parts, count(r.Nodes, "node"))
	}
	if l != nil {
		parts = append(parts, fmt.Sprintf("%s x %d", l.Kind, l.Processes))
	}
	if r.CPUs > 0 {
		parts = append(parts, number(r.CPUs)+" cpu")
	}
	if r.GPUs > 0 {
		parts = append(parts, count(r.GPUs, "gpu"))
	}
	if r.Memory > 0 {
		parts = append(parts, size(r.Memory))
	}
	return strings.Join(parts, ", ")
}

// size is an amount of memory in the largest unit that divides it.
func size(n int64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti"}
	i := 0
	for ; i < len(units)-1 && n >= 1024 && n%1024 == 0; i++ {
		n /= 1024
	}
	return fmt.Sprintf("%d%s", n, units[i])
}

func condition(c *plan.Condition) string {
	switch {
	case c == nil:
		return ""
	case c.Expr != "":
		return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(c.Expr), "${{"), "}}"))
	case c.Known:
		return "yes"
	}
	return "no: skipped"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// reasons says of each stage why it runs where it does, when the file alone does
// not say that. over holds what --target put elsewhere.
func reasons(made *engine.Prepared, over map[string]string) []string {
	var out []string
	planned := map[string]*plan.Stage{}
	for i := range made.Plan.Stages {
		planned[made.Plan.Stages[i].Name] = &made.Plan.Stages[i]
	}
	for _, stages := range [][]schema.Stage{made.Pipeline.Stages, made.Pipeline.Finally} {
		for _, s := range stages {
			planned := planned[s.Name]
			if planned == nil || len(planned.Targets) == 0 {
				continue
			}
			if why := reason(made.Plan, &s, planned, over); why != "" {
				out = append(out, fmt.Sprintf("%s: %s", s.Name, why))
			}
		}
	}
	return out
}

func reason(pl *plan.Plan, s *schema.Stage, planned *plan.Stage, over map[string]string) string {
	got := planned.Targets[0].Name
	_, named := over[s.Name]
	_, all := over[""]
	asked := "local"
	if len(s.Target) > 0 {
		asked = s.Target[0]
	}
	switch {
	case named || all:
		return fmt.Sprintf("on %q, by --target", got)
	case len(planned.Targets) > 1:
		return "on the first of its targets that can be used when it begins"
	case asked != got && strings.Contains(asked, "${{"):
		return fmt.Sprintf("on %q, by its expression", got)
	case asked != got:
		return fmt.Sprintf("on %q, where the profile %q binds %q", got, pl.Profile, asked)
	case len(s.Target) == 0:
		return fmt.Sprintf("on %q, since it names no target", got)
	}
	return ""
}
