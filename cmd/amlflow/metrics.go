package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"

	"github.com/spf13/cobra"
)

func (p *program) metricsVerb() *cobra.Command {
	var follow bool
	v := &cobra.Command{
		Use: "metrics [RUN [STAGE]]", Short: "Show all that the stages of a run report of metrics",
		Long: `Metrics shows what the stages of a run (the newest when none is named) have reported so
far, or one stage with its items: of each metric the last value, the least, the most, and
how many there are. -o csv, ndjson and json have every value with its step. With --follow
each value is printed as it comes, until the run ends.`,
		Args: takes(0, 2), ValidArgsFunction: p.completeStages,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			e, id, err := p.runOf(ctx, args[:min(len(args), 1)], p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			stage := ""
			if len(args) == 2 {
				stage = args[1]
			}
			err = p.metrics(ctx, e, id, stage, follow)
			if interrupted(ctx, err) {
				return silently(exitInterrupted)
			}
			return err
		},
	}
	v.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	return p.prints(v, "json", "ndjson", "csv")
}

// pointRecord is a value as machines read it. What JSON has no number for is text.
type pointRecord struct {
	Stage   string   `json:"stage"`
	Attempt int      `json:"attempt"`
	Metric  string   `json:"metric"`
	Step    *float64 `json:"step"`
	Value   any      `json:"value"`
}

func pointOf(x engine.Point) pointRecord {
	r := pointRecord{Stage: x.Stage, Attempt: x.Attempt, Metric: x.Metric, Value: x.Value}
	if x.HasStep {
		r.Step = &x.Step
	}
	if x.Value-x.Value != 0 {
		r.Value = strconv.FormatFloat(x.Value, 'g', -1, 64)
	}
	return r
}

func (p *program) metrics(ctx context.Context, e *engine.Engine, id, stage string, follow bool) error {
	r, err := e.Progress(ctx, id)
	if err != nil {
		return err
	}
	if err := hasStage(r, stage); err != nil {
		return err
	}
	reader := e.MetricsReader()
	if !follow || r.Status.Ended() && p.output == "table" {
		return p.allMetrics(ctx, reader, r, stage)
	}
	tell, flush := p.points()
	next := time.Time{}
	_, err = e.Watch(ctx, id, func(r *flow.Progress) {
		if now := time.Now(); r.Status.Ended() || now.After(next) {
			next = now.Add(200 * time.Millisecond)
			reader.Read(ctx, r, stage, tell) // what is wrong now is tried again
			flush()
		}
	})
	return err
}

// points prints values one by one.
func (p *program) points() (tell func(engine.Point), flush func()) {
	switch p.output {
	case "csv":
		w := csv.NewWriter(p.out)
		_ = w.Write([]string{"stage", "attempt", "metric", "step", "value"})
		return func(x engine.Point) {
			step := ""
			if x.HasStep {
				step = strconv.FormatFloat(x.Step, 'g', -1, 64)
			}
			_ = w.Write([]string{x.Stage, strconv.Itoa(x.Attempt), x.Metric, step, strconv.FormatFloat(x.Value, 'g', -1, 64)})
		}, w.Flush
	case "table":
		return func(x engine.Point) {
			step := ""
			if x.HasStep {
				step = "  step " + number(x.Step)
			}
			p.print("%s%s  %s %s", x.Stage, step, clean(x.Metric), number(x.Value))
		}, func() {}
	}
	out := json.NewEncoder(p.out)
	out.SetEscapeHTML(false)
	return func(x engine.Point) { _ = out.Encode(pointOf(x)) }, func() {}
}

func (p *program) allMetrics(ctx context.Context, reader *engine.MetricsReader, r *flow.Progress, stage string) error {
	var lacks []error
	switch p.output {
	case "table":
		all := newSummaries()
		lacks = reader.Read(ctx, r, stage, all.add)
		p.showMetrics(r, all)
	case "json":
		points := []pointRecord{}
		lacks = reader.Read(ctx, r, stage, func(x engine.Point) { points = append(points, pointOf(x)) })
		if err := p.json(map[string]any{"run": r.Run, "points": points}); err != nil {
			return err
		}
	default:
		tell, flush := p.points()
		lacks = reader.Read(ctx, r, stage, tell)
		flush()
	}
	for _, err := range lacks {
		p.say("%v", err)
	}
	return ctx.Err()
}

func (p *program) showMetrics(r *flow.Progress, all *summaries) {
	if len(all.order) == 0 {
		p.say("run %s has reported no metrics", r.Run)
		return
	}
	several := all.attempts()
	head := []string{"STAGE", "METRIC", "LAST", "MIN", "MAX", "VALUES", "STEP"}
	if several {
		head = append([]string{"STAGE", "TRY"}, head[1:]...)
	}
	rows := [][]string{p.heading(head...)}
	for _, key := range all.order {
		s := all.of[key]
		row := []string{key.stage, clean(key.metric), number(s.last), number(s.least), number(s.most), fmt.Sprint(s.count), or(s.step, "-")}
		if several {
			row = append([]string{key.stage, strconv.Itoa(key.attempt)}, row[1:]...)
		}
		rows = append(rows, row)
	}
	table(p.out, rows)
}
