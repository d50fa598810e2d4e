package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema"

	"github.com/spf13/cobra"
)

func (p *program) gcVerb() *cobra.Command {
	var dry, yes bool
	older := "30d"
	v := &cobra.Command{
		Use: "gc", Short: "Show what nothing needs any more, and remove it when told to", Args: takes(0, 0),
		Long: `Gc looks for what no run, endpoint or cache refers to, and shows what it takes. With
--yes it removes it. Runs that ended less than --older-than ago, and those that go on,
keep everything. The records of all runs stay: ` + "`status`" + ` works, and says what has gone.

It looks at artifacts, folders and marks of jobs, earlier results, Python environments,
fetched templates, and what was sealed for runs; also on the workspace's targets of kind
ssh and slurm, where it sees nothing of other state folders. It may run beside anything else, and
be killed at any moment. An artifact that was used in the last 24 hours always stays,
and so does a store that other state folders use.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := schema.ParseDuration(older)
			if err != nil || age < 0 {
				return usage(fmt.Errorf("--older-than %q is no length of time: write 30d, 12h or 90m", older))
			}
			if dry && yes {
				return usage(errors.New("--dry-run and --yes are opposites: leave out one"))
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return p.gc(ctx, age, !yes)
		},
	}
	f := v.Flags()
	f.StringVar(&older, "older-than", older, "keep everything of runs that ended later than this ago")
	f.BoolVar(&yes, "yes", false, "remove it")
	f.BoolVar(&dry, "dry-run", false, "only show what would be removed; so it is without --yes")
	return p.prints(v, "json")
}

func (p *program) gc(ctx context.Context, older time.Duration, dry bool) error {
	w, err := p.workspace()
	if err != nil {
		return err
	}
	e, err := p.open(ctx, w, p.notice)
	if err != nil {
		return err
	}
	defer e.Close()
	sweeping := engine.Sweeping{Older: older, Stores: []string{engine.StoreOf(w, p.home)}, DryRun: dry}
	for _, t := range w.Targets {
		sweeping.Targets = append(sweeping.Targets, asTarget(t))
	}
	swept, err := e.Sweep(ctx, sweeping)
	if swept == nil {
		return err
	}
	if shown := p.showSwept(swept, dry); shown != nil {
		return shown
	}
	if interrupted(ctx, err) {
		p.say("interrupted: what is not listed is still there")
		return silently(exitInterrupted)
	}
	return err
}

// leftovers is what a sweep found, as machines read it.
type leftovers struct {
	DryRun bool              `json:"dry_run"`
	Bytes  int64             `json:"bytes"`
	Items  []engine.Leftover `json:"items"`
	Notes  []string          `json:"notes"`
}

func (p *program) showSwept(s *engine.Swept, dry bool) error {
	all := leftovers{DryRun: dry, Items: s.Leftovers, Notes: s.Notes}
	for _, l := range s.Leftovers {
		all.Bytes += l.Bytes
	}
	if p.output == "json" {
		if all.Items == nil {
			all.Items = []engine.Leftover{}
		}
		if all.Notes == nil {
			all.Notes = []string{}
		}
		return p.json(all)
	}
	for _, note := range s.Notes {
		p.say("%s", note)
	}
	if len(all.Items) == 0 {
		p.say("nothing is left over")
		return nil
	}
	table(p.out, p.sweptRows(all))
	if dry {
		p.say("nothing was removed: `%s gc --yes` removes it, `-o json` lists it one by one", invocation())
	}
	return nil
}

// sweptKinds is what people call the kinds of leftovers, in the order of the table.
var sweptKinds = [][2]string{
	{"artifact", "artifacts"}, {"unfinished", "unfinished artifacts"}, {"record", "earlier results"}, {"job", "folders of jobs"},
	{"mark", "marks of jobs"}, {"environment", "Python environments"}, {"content", "copies on targets"}, {"template", "templates"}, {"secret", "sealed secrets"},
}

func (p *program) sweptRows(all leftovers) [][]string {
	rows := [][]string{p.heading("WHAT", "COUNT", "SIZE")}
	for _, kind := range sweptKinds {
		count, bytes := 0, int64(0)
		for _, l := range all.Items {
			if l.Kind == kind[0] {
				count, bytes = count+1, bytes+l.Bytes
			}
		}
		if count > 0 {
			rows = append(rows, []string{kind[1], fmt.Sprint(count), room(bytes)})
		}
	}
	return append(rows, []string{"all", fmt.Sprint(len(all.Items)), room(all.Bytes)})
}

// room is how much of a disk something takes.
func room(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v := float64(n)
	for len(units) > 1 && v >= 1024 {
		v, units = v/1024, units[1:]
	}
	if v == float64(int64(v)) {
		return fmt.Sprintf("%.0f %s", v, units[0])
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}
