package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) logsVerb() *cobra.Command {
	var l logWish
	v := &cobra.Command{
		Use:   "logs [RUN [STAGE]]",
		Short: "Print what the jobs of a run print",
		Long: `Logs prints the output of every stage of a run (the newest when none is named),
or of one stage. With --follow it goes on until the run ends.`,
		Args: takes(0, 2), ValidArgsFunction: p.completeStages,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			e, id, err := p.runOf(ctx, args[:min(len(args), 1)], p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			if len(args) == 2 {
				l.stage = args[1]
			}
			err = p.logs(ctx, e, id, &l)
			if interrupted(ctx, err) {
				return silently(exitInterrupted)
			}
			return err
		},
	}
	v.Flags().BoolVarP(&l.follow, "follow", "f", false, "go on until the run ends")
	v.Flags().IntVar(&l.rank, "rank", -1, "of a stage on several nodes, the log of this rank (default: the one that decided)")
	v.Flags().IntVar(&l.tail, "tail", -1, "only the last lines of each stage")
	return p.prints(v)
}

// logWish is what a person wants to see of the logs of a run.
type logWish struct {
	stage  string
	rank   int
	tail   int
	follow bool
}

func (p *program) logs(ctx context.Context, e *engine.Engine, id string, l *logWish) error {
	r, err := e.Progress(ctx, id)
	if err != nil {
		return err
	}
	if err := hasStage(r, l.stage); err != nil {
		return err
	}
	readers := map[string]*logReader{}
	if err := p.copyLogs(ctx, e, r, l, readers); err != nil || !l.follow || r.Status.Ended() {
		return err
	}
	w := *l
	w.tail = -1
	next := time.Now()
	_, err = e.Watch(ctx, id, func(r *flow.Progress) {
		if now := time.Now(); r.Status.Ended() || now.After(next) {
			next = now.Add(150 * time.Millisecond)
			_ = p.copyLogs(ctx, e, r, &w, readers) // what is wrong now is tried again
		}
	})
	return err
}

func hasStage(r *flow.Progress, name string) error {
	if name == "" || r.Find(name) != nil {
		return nil
	}
	var known []string
	for _, s := range leaves(r.Stages, "") {
		known = append(known, s.name)
	}
	for _, s := range r.Stages {
		known = append(known, s.Name)
	}
	cure := "the stages are " + strings.Join(known, ", ")
	if n := diag.Nearest(name, known); n != "" {
		cure = fmt.Sprintf("did you mean %q?", n)
	} else if len(known) > 20 {
		cure = "`" + invocation() + " status " + r.Run + "` lists them"
	}
	return ended{exitNotFound, fmt.Errorf("run %s has no stage %q: %s", r.Run, name, cure)}
}

// leaves are the stages that have jobs: instead of a stage with items these, and
// instead of one with a pipeline the stages of that.
func leaves(stages []flow.StageProgress, prefix string) []told {
	var out []told
	for i := range stages {
		s := &stages[i]
		switch {
		case len(s.Items) > 0:
			out = append(out, leaves(s.Items, prefix)...)
		case s.Nested != nil:
			out = append(out, leaves(s.Nested.Stages, prefix+s.Name+"/")...)
		default:
			out = append(out, told{prefix + s.Name, s})
		}
	}
	return out
}

// wanted are the stages whose logs are to be printed: those of all jobs, or of the
// stage that is named.
func (l *logWish) wanted(r *flow.Progress) []told {
	if l.stage == "" {
		return leaves(r.Stages, "")
	}
	s := r.Find(l.stage)
	if s == nil {
		return nil
	}
	around := ""
	if i := strings.LastIndexByte(l.stage, '/'); i >= 0 {
		around = l.stage[:i+1]
	}
	return leaves([]flow.StageProgress{*s}, around)
}

// copyLogs prints what is new of every stage that is wanted.
func (p *program) copyLogs(ctx context.Context, e *engine.Engine, r *flow.Progress, l *logWish, readers map[string]*logReader) error {
	all, wide := l.wanted(r), 0
	for _, s := range all {
		wide = max(wide, len(s.name))
	}
	for _, one := range all {
		s := one.progress
		if s.Job == "" || s.Place == nil {
			continue
		}
		lr := readers[one.name]
		if lr == nil || lr.job != s.Job {
			lr = &logReader{job: s.Job, lines: newLines(p.out, l.tail)}
			if l.stage == "" || len(all) > 1 {
				lr.lines.prefix = fmt.Sprintf("%-*s %s ", wide, one.name, p.paintOut(dim, "|"))
			}
			readers[one.name] = lr
		}
		err := lr.more(ctx, e, r, s, l)
		if errors.Is(err, engine.ErrRemoved) && l.stage == "" { // the others may be there
			p.say("the log of stage %q: %v", one.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("read the log of stage %q: %w", one.name, err)
		}
	}
	return nil
}

// logReader copies the log of one attempt by whole lines.
type logReader struct {
	job    string
	rank   int
	offset int64
	lines  *lines
}

func (lr *logReader) more(ctx context.Context, e *engine.Engine, r *flow.Progress, s *flow.StageProgress, l *logWish) error {
	rank := l.rank
	if rank < 0 {
		rank = s.Rank
	}
	if rank != lr.rank { // another rank turned out to be the one that matters
		lr.rank, lr.offset, lr.lines.rest = rank, 0, nil
	}
	lr.lines.tail = l.tail
	var to io.Writer = lr.lines
	if lr.lines.prefix == "" && l.tail < 0 {
		to = lr.lines.out // one stage: byte for byte
	}
	read := measured{to: to}
	reached, err := e.Logs(ctx, s, r.Store, rank, lr.offset, &read)
	if err != nil {
		lr.offset += read.n // what was printed is not printed again
		return err
	}
	lr.offset = reached
	return lr.lines.flush(s.Status != target.Running)
}

// measured counts what it hands on.
type measured struct {
	to io.Writer
	n  int64
}

func (c *measured) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}
