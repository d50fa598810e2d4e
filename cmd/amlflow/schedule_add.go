package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/cron"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

// scheduleChoices is what a person may say of a schedule instead of its file.
type scheduleChoices struct {
	choices
	name, cron, every, zone, overlap, catchUp, jitter string
	paused                                            bool
}

func (p *program) scheduleAddVerb() *cobra.Command {
	var c scheduleChoices
	v := &cobra.Command{
		Use:   "add FILE",
		Short: "Have runs of a pipeline begin by themselves",
		Long: `Add makes the schedules that a pipeline's file says in ` + "`on: { schedule: [ … ] }`" + `, or
one of --cron or --every. The plan is pinned: all runs do what the files say now, with
the parameters, code and targets of now. After a change of the files, add again: it
shows what the runs will do otherwise. Adding the same again changes nothing.

Variables that hold secrets are taken from this shell and kept encrypted, for as long
as the schedule is there; add again after they have changed.

The background server begins the runs, so it stays while there is a schedule. Nothing
starts it after a restart of the computer but the next command, or what
` + "`amlflow doctor`" + ` says. Times that were missed meanwhile are caught up with, as far
as ` + "`catch_up`" + ` says.`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
			return p.addSchedules(cmd, args[0], &c)
		},
	}
	c.flags(v)
	f := v.Flags()
	f.StringVar(&c.name, "name", "", "which schedule of the file, or how a new one is called (default: the pipeline's name)")
	f.StringVar(&c.cron, "cron", "", "times as a crontab has them, such as \"30 3 * * 1\"")
	f.StringVar(&c.every, "every", "", "the time from one run to the next, such as 6h")
	f.StringVar(&c.zone, "timezone", "", "the time zone of --cron, such as Europe/Berlin (default: UTC)")
	f.StringVar(&c.overlap, "overlap", "", "while an earlier run goes on: skip, queue, latest, cancel or allow (default: skip)")
	f.StringVar(&c.catchUp, "catch-up", "", "how late a run may begin that was missed (default: 1d)")
	f.StringVar(&c.jitter, "jitter", "", "begin up to this much later, by chance")
	f.BoolVar(&c.paused, "paused", false, "begin nothing before `schedule resume`")
	_ = v.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions(schema.Overlaps, cobra.ShellCompDirectiveNoFileComp))
	return p.prints(v, "json")
}

func (p *program) addSchedules(cmd *cobra.Command, file string, c *scheduleChoices) error {
	looked, err := p.prepare(cmd, file, &c.choices, engine.ToCheck)
	if err != nil {
		return err
	}
	wanted, err := c.wanted(looked.Pipeline)
	if err != nil {
		return err
	}
	var all []engine.Scheduling
	for _, s := range wanted {
		one, err := p.scheduling(cmd.Context(), file, c, s)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	e, err := p.open(cmd.Context(), looked.Workspace, p.notice)
	if err != nil {
		return err
	}
	defer e.Close()
	var done []*engine.Rescheduled
	for _, one := range all {
		got, err := e.AddSchedule(cmd.Context(), one)
		if err != nil {
			return err
		}
		done = append(done, got)
	}
	return p.showAdded(done)
}

// wanted are the schedules of the file that are meant, or the one that the flags make.
func (c *scheduleChoices) wanted(pl *schema.Pipeline) ([]schema.Schedule, error) {
	all := slices.Clone(pl.Schedules)
	switch {
	case c.cron != "" && c.every != "":
		return nil, usage(errors.New("--cron and --every say the same in two ways: give one of them"))
	case c.cron != "" || c.every != "":
		all = []schema.Schedule{{Name: first(c.name, pl.Name)}}
	case len(all) == 0:
		return nil, usage(fmt.Errorf("pipeline %q says no times: write `on: { schedule: [{ cron: \"0 3 * * *\" }] }` into its file, or give --cron or --every", pl.Name))
	case c.name != "" && len(all) == 1:
		all[0].Name = c.name
	case c.name != "":
		all = slices.DeleteFunc(all, func(s schema.Schedule) bool { return s.Name != c.name })
	}
	if len(all) == 0 {
		var names []string
		for _, s := range pl.Schedules {
			names = append(names, s.Name)
		}
		return nil, ended{exitNotFound, fmt.Errorf("pipeline %q has no schedule %q: it has %s", pl.Name, c.name, strings.Join(names, ", "))}
	}
	for i := range all {
		if !schema.ValidName(all[i].Name) {
			return nil, usage(fmt.Errorf("--name %q is no name of a schedule: use small letters, digits and . _ -", all[i].Name))
		}
		if err := c.over(&all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// over lets the flags have the last word about a schedule.
func (c *scheduleChoices) over(s *schema.Schedule) error {
	s.Cron, s.Timezone, s.Overlap = first(c.cron, s.Cron), first(c.zone, s.Timezone), first(c.overlap, s.Overlap)
	if _, wrong := cron.Parse(c.cron); c.cron != "" && len(wrong) > 0 {
		return usage(fmt.Errorf("--cron %q: %s: %s", c.cron, wrong[0].What, wrong[0].Cure))
	}
	if c.zone != "" && !cron.KnowsZone(c.zone) {
		return usage(fmt.Errorf("--timezone %q: no time zone has this name: %s", c.zone, or(diag.Nearest(c.zone, cron.Zones()), "write for example Europe/Berlin")))
	}
	if c.overlap != "" && !slices.Contains(schema.Overlaps, c.overlap) {
		return usage(fmt.Errorf("--overlap %q: use skip, queue, latest, cancel or allow", c.overlap))
	}
	for _, f := range []struct {
		flag, text string
		to         *time.Duration
		least      time.Duration
	}{{"--every", c.every, &s.Every, time.Second}, {"--catch-up", c.catchUp, &s.CatchUp, schema.LeastCatchUp}, {"--jitter", c.jitter, &s.Jitter, 0}} {
		if f.text == "" {
			continue
		}
		d, err := schema.ParseDuration(f.text)
		if err != nil {
			return usage(fmt.Errorf("%s %q: %w: write for example 30s, 10m or 6h", f.flag, f.text, err))
		}
		if d < f.least || d%time.Second != 0 && f.flag == "--every" {
			return usage(fmt.Errorf("%s %q: write %v or more, in whole seconds", f.flag, f.text, f.least))
		}
		*f.to = d
	}
	return nil
}

// scheduling makes the plan that all runs of a schedule have.
func (p *program) scheduling(ctx context.Context, file string, c *scheduleChoices, s schema.Schedule) (engine.Scheduling, error) {
	own := c.choices
	own.under, own.profile = s.Params, first(c.profile, s.Profile)
	o, err := own.options(p, engine.ToRun)
	if err != nil {
		return engine.Scheduling{}, err
	}
	given := maps.Clone(o.Params)
	made, findings, err := engine.Prepare(ctx, file, o)
	if err == nil && findings.Bad() {
		err = p.refuse(&own.reports, findings, filesOf(made), made.Line)
	}
	if err != nil {
		return engine.Scheduling{}, err
	}
	dir := whole(made.Workspace.Dir)
	sealed, err := engine.GatherSecrets(p.home, flow.Secrets(made.Plan, dir), os.LookupEnv)
	if err != nil {
		return engine.Scheduling{}, ended{exitNotFound, err}
	}
	t := flow.Timing{Cron: s.Cron, Every: s.Every, Timezone: first(s.Timezone, schema.DefaultZone), Overlap: first(s.Overlap, schema.DefaultOverlap), CatchUp: s.CatchUp, Jitter: s.Jitter}
	if t.CatchUp == 0 {
		t.CatchUp = schema.DefaultCatchUp
	}
	return engine.Scheduling{
		Name: s.Name, Timing: t, File: whole(file), Profile: own.profile, Params: typed(made, given), Paused: c.paused,
		Request: engine.Request{Plan: made.Plan, Store: made.Store, Dir: dir, Host: hostEnv(os.Environ()), Secrets: sealed},
	}, nil
}

// typed are the parameters that were given, as the plan has them.
func typed(made *engine.Prepared, given map[string]any) map[string]any {
	for name := range given {
		given[name] = made.Plan.Params[name]
	}
	if len(given) == 0 {
		return nil
	}
	return given
}
