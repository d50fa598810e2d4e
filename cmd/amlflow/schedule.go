package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/schema"

	"github.com/spf13/cobra"
)

func (p *program) scheduleVerb() *cobra.Command {
	return group("schedule", "Have runs begin by themselves, and look after that",
		p.scheduleAddVerb(), p.scheduleLsVerb(), p.scheduleShowVerb(), p.schedulePauseVerb(), p.scheduleResumeVerb(), p.scheduleTriggerVerb(), p.scheduleRmVerb())
}

// atSchedules opens the engine for a verb about schedules, and says when the server was
// away: nothing began meanwhile.
func (p *program) atSchedules(ctx context.Context) (*engine.Engine, error) {
	w, err := p.workspace()
	if err != nil {
		return nil, err
	}
	seat, err := p.seat(w)
	if err != nil {
		return nil, err
	}
	_, there := server.Find(ctx, seat)
	e, err := p.open(ctx, w, p.notice)
	if err == nil && !there {
		if all, err := e.Schedules(ctx); err == nil && slices.ContainsFunc(all, func(s engine.Schedule) bool { return !s.Paused }) {
			p.say("%s the background server was away, and is started now; times that it missed are caught up with as `catch_up` says. `%s doctor` tells how to have it started with the computer", p.paintErr(yellow, "note:"), invocation())
		}
	}
	return e, err
}

func (p *program) scheduleLsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "ls", Short: "List schedules, with what comes next and what came of the last time", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := p.atSchedules(cmd.Context())
			if err != nil {
				return err
			}
			defer e.Close()
			all, err := e.Schedules(cmd.Context())
			if err != nil {
				return err
			}
			return p.listSchedules(all)
		},
	}, "json", "name")
}

func (p *program) scheduleShowVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "show NAME", Short: "Show a schedule, its next times and its last runs", Args: takes(1, 1), ValidArgsFunction: p.completeSchedules,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := p.atSchedules(cmd.Context())
			if err != nil {
				return err
			}
			defer e.Close()
			s, err := e.Schedule(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(s)
			}
			p.showSchedule(s)
			return nil
		},
	}, "json")
}

// each does something to schedules, one after the other.
func (p *program) each(cmd *cobra.Command, names []string, do func(context.Context, *engine.Engine, string) error) error {
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	e, err := p.atSchedules(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	for _, name := range names {
		if err := do(ctx, e, name); err != nil {
			return err
		}
	}
	if p.output != "json" {
		return nil
	}
	all := []engine.Schedule{}
	for _, name := range names {
		s, err := e.Schedule(ctx, name)
		if err != nil && !errors.Is(err, engine.ErrNoSchedule) {
			return err
		}
		if s != nil {
			all = append(all, *s)
		}
	}
	return p.json(map[string]any{"schedules": all})
}

func (p *program) schedulePauseVerb() *cobra.Command {
	var why string
	v := &cobra.Command{
		Use: "pause NAME…", Short: "Begin no runs until the schedule is resumed; those that go on do so", Args: takes(1, -1), ValidArgsFunction: p.completeSchedules,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd, args, func(ctx context.Context, e *engine.Engine, name string) error {
				if err := e.PauseSchedule(ctx, name, pausedBy(why)); err != nil {
					return err
				}
				p.say("schedule %s is paused; `%s schedule resume %s` ends that", name, invocation(), name)
				return nil
			})
		},
	}
	v.Flags().StringVarP(&why, "message", "m", "", "why, for others to read")
	return p.prints(v, "json")
}

// pausedBy says who paused a schedule, and why.
func pausedBy(why string) string {
	by := "somebody"
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	if why == "" {
		return "paused by " + by
	}
	return fmt.Sprintf("paused by %s: %s", by, why)
}

func (p *program) scheduleResumeVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "resume NAME…", Short: "Begin runs again; the times of the pause are not caught up with", Args: takes(1, -1), ValidArgsFunction: p.completeSchedules,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd, args, func(ctx context.Context, e *engine.Engine, name string) error {
				if err := e.ResumeSchedule(ctx, name); err != nil {
					return err
				}
				s, err := e.Schedule(ctx, name)
				if err != nil {
					return err
				}
				p.say("schedule %s begins runs again%s", name, upcoming(s))
				return nil
			})
		},
	}, "json")
}

func (p *program) scheduleTriggerVerb() *cobra.Command {
	var overlap string
	v := &cobra.Command{
		Use: "trigger NAME", Short: "Begin a run of the schedule now", Args: takes(1, 1), ValidArgsFunction: p.completeSchedules,
		Long: `Trigger begins a run as the schedule would, also while it is paused, and prints its id.
While an earlier run goes on, the schedule's ` + "`overlap`" + ` decides, or --overlap; with
"skip" nothing is begun, and it ends with 7.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if overlap != "" && !slices.Contains(schema.Overlaps, overlap) {
				return usage(fmt.Errorf("--overlap %q: use skip, queue, latest, cancel or allow", overlap))
			}
			e, err := p.atSchedules(ctx)
			if err != nil {
				return err
			}
			defer e.Close()
			f, err := e.TriggerSchedule(ctx, args[0], overlap)
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(f)
			}
			if f.Run == "" {
				p.say("a run of %s is waiting: %s", args[0], f.Why)
				return nil
			}
			return p.left(f.Run)
		},
	}
	v.Flags().StringVar(&overlap, "overlap", "", "while an earlier run goes on: skip, queue, latest, cancel or allow (default: what the schedule says)")
	return p.prints(v, "json")
}

func (p *program) scheduleRmVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "rm NAME…", Short: "Remove schedules; runs that go on do so", Args: takes(1, -1), ValidArgsFunction: p.completeSchedules,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd, args, func(ctx context.Context, e *engine.Engine, name string) error {
				there, err := e.RemoveSchedule(ctx, name)
				switch {
				case err != nil:
					return err
				case there:
					p.say("schedule %s is removed", name)
				default:
					p.say("there was no schedule %s to remove", name)
				}
				return nil
			})
		},
	}, "json")
}

// completeSchedules offers the schedules that there are, when the server is up.
func (p *program) completeSchedules(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	e, ok := p.running(ctx)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer e.Close()
	all, _ := e.Schedules(ctx)
	var names []string
	for _, s := range all {
		names = append(names, s.Name+"\t"+s.Pipeline)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
