package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/engine"

	"github.com/spf13/cobra"
)

// comparing is what a person wants to see of several runs.
type comparing struct {
	metric string
	svg    string
	all    bool
}

func (p *program) compareVerb() *cobra.Command {
	var c comparing
	v := &cobra.Command{
		Use: "compare RUN RUN…", Short: "Hold runs against each other: parameters, metrics, what they made",
		Long: `Compare shows what differs between runs: parameters, also those that their stages have
logged to MLflow, metrics (that of the highest step, least and most), and outputs by their digests. What
is the same in all of them is left out, unless --all is given. --metric plots how a metric
went, as text, and into a file with --svg.`,
		Args: takes(2, -1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if c.svg != "" && c.metric == "" {
				return usage(fmt.Errorf("--svg draws a metric: name it with --metric"))
			}
			e, first, err := p.runOf(ctx, args[:1], p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			return p.compare(ctx, e, first, args[1:], c)
		},
	}
	v.Flags().StringVar(&c.metric, "metric", "", "plot this metric: NAME, or STAGE:NAME")
	v.Flags().StringVar(&c.svg, "svg", "", "write the plot into this file, as SVG")
	v.Flags().BoolVar(&c.all, "all", false, "also what is the same in all runs")
	return p.prints(v, "json")
}

// compared is one run among others.
type compared struct {
	run     string
	params  map[string]string
	metrics map[seriesKey]*summary
	outputs map[string]string
}

func (p *program) compare(ctx context.Context, e *engine.Engine, firstRun string, more []string, c comparing) error {
	ids := []string{firstRun}
	for _, ref := range more {
		id, err := e.Find(ctx, ref)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	runs := make([]compared, len(ids))
	for i, id := range ids {
		var err error
		if runs[i], err = p.comparedRun(ctx, e, id); err != nil {
			return err
		}
	}
	if c.metric != "" {
		return p.plot(runs, c)
	}
	if p.output == "json" {
		return p.json(comparedRecord(runs))
	}
	p.showCompared(runs, c)
	return nil
}

func (p *program) comparedRun(ctx context.Context, e *engine.Engine, id string) (compared, error) {
	c := compared{run: id, params: map[string]string{}, outputs: map[string]string{}}
	r, err := e.Progress(ctx, id)
	if err != nil {
		return c, err
	}
	for name, v := range r.Params {
		c.params[name] = value(v)
	}
	all := newSummaries()
	for _, err := range e.MetricsReader().Read(ctx, r, "", all.add) {
		p.say("run %s: %v", id, err)
	}
	c.metrics = all.newest()
	for _, s := range leaves(r.Stages, "") {
		for name, v := range s.progress.Outputs {
			c.outputs[s.name+"."+name] = value(v)
		}
		logged, err := engine.LoggedParams(ctx, r.Store, s.progress.Tracked)
		if err != nil {
			p.say("run %s: what %s logged: %v", id, s.name, err)
		}
		for name, v := range logged {
			c.params[s.name+": "+name] = v
		}
	}
	return c, ctx.Err()
}

func (p *program) showCompared(runs []compared, c comparing) {
	head := []string{""}
	for _, r := range runs {
		head = append(head, r.run)
	}
	rows := [][]string{p.heading(head...)}
	same := 0
	// What a cell shows may be shortened; exact says whether it is the same.
	section := func(title string, names []string, cell, exact func(r compared, name string) string) {
		var more [][]string
		for _, name := range names {
			row, whole := []string{"  " + clean(name)}, []string{}
			for _, r := range runs {
				row, whole = append(row, or(clean(cell(r, name)), "-")), append(whole, exact(r, name))
			}
			if !c.all && allSame(whole) {
				same++
				continue
			}
			more = append(more, row)
		}
		if len(more) > 0 {
			rows = append(append(rows, []string{p.paintOut(bold, title)}), more...)
		}
	}
	params := func(r compared, n string) string { return r.params[n] }
	section("params", names(runs, func(r compared) map[string]string { return r.params }), shortened(params), params)
	labels := map[string]seriesKey{}
	for _, r := range runs {
		for key := range r.metrics {
			labels[key.stage+": "+key.metric] = key
		}
	}
	section("metrics (last, min … max)", slices.Sorted(maps.Keys(labels)), func(r compared, n string) string { return r.metrics[labels[n]].text(number) },
		func(r compared, n string) string { return r.metrics[labels[n]].text(digits) })
	outputs := func(r compared, n string) string { return r.outputs[n] }
	section("outputs", names(runs, func(r compared) map[string]string { return r.outputs }), shortened(outputs), outputs)
	if len(rows) > 1 {
		table(p.out, rows)
	}
	if same > 0 {
		p.say("the same in all of them: %d; --all shows them", same)
	}
}

// text is a series in a cell: its last value and, if it has several, its range.
func (s *summary) text(number func(float64) string) string {
	if s == nil {
		return ""
	}
	if s.count == 1 {
		return number(s.last)
	}
	return fmt.Sprintf("%s, %s … %s", number(s.last), number(s.least), number(s.most))
}

// digits are all of a number.
func digits(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func shortened(cell func(compared, string) string) func(compared, string) string {
	return func(r compared, name string) string { return short(cell(r, name)) }
}

// short keeps of the name of a content what tells it from others.
func short(s string) string {
	head, digest, ok := strings.Cut(s, "sha256:")
	if ok && len(digest) == 64 {
		return head + "sha256:" + digest[:12]
	}
	if len(s) > 40 {
		return s[:37] + "…"
	}
	return s
}

func allSame(cells []string) bool {
	for _, c := range cells {
		if c != cells[0] {
			return false
		}
	}
	return true
}

func names(runs []compared, of func(compared) map[string]string) []string {
	all := map[string]bool{}
	for _, r := range runs {
		for name := range of(r) {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// comparedRecord is a comparison as machines read it.
func comparedRecord(runs []compared) any {
	type metric struct {
		Stage  string `json:"stage"`
		Metric string `json:"metric"`
		Last   any    `json:"last"`
		Min    any    `json:"min"`
		Max    any    `json:"max"`
		Count  int    `json:"count"`
	}
	type record struct {
		Run     string            `json:"run"`
		Params  map[string]string `json:"params"`
		Metrics []metric          `json:"metrics"`
		Outputs map[string]string `json:"outputs"`
	}
	all := make([]record, len(runs))
	for i, r := range runs {
		all[i] = record{r.run, r.params, []metric{}, r.outputs}
		for key, s := range r.metrics {
			all[i].Metrics = append(all[i].Metrics, metric{key.stage, key.metric, figure(s.last), figure(s.least), figure(s.most), s.count})
		}
		slices.SortFunc(all[i].Metrics, func(a, b metric) int { return strings.Compare(a.Stage+"\x00"+a.Metric, b.Stage+"\x00"+b.Metric) })
	}
	return map[string]any{"runs": all}
}

// figure is a number for JSON; null when it is none.
func figure(x float64) any {
	if x-x != 0 {
		return nil
	}
	return x
}

// plot draws how a metric went in each run.
func (p *program) plot(runs []compared, c comparing) error {
	stage, metric, ok := strings.Cut(c.metric, ":")
	if !ok {
		stage, metric = "", c.metric
	}
	var lines []curve
	known := map[string]bool{}
	for _, r := range runs {
		keys := slices.SortedFunc(maps.Keys(r.metrics), func(a, b seriesKey) int { return strings.Compare(a.stage, b.stage) })
		for _, key := range keys {
			known[key.metric] = true
			if key.metric == metric && (stage == "" || key.stage == stage) {
				lines = append(lines, curveOf(r.run+" "+key.stage, r.metrics[key]))
			}
		}
	}
	if len(lines) == 0 {
		return ended{exitNotFound, fmt.Errorf("none of the runs has reported the metric %q: they have %s", c.metric, strings.Join(slices.Sorted(maps.Keys(known)), ", "))}
	}
	if c.svg != "" {
		if err := os.WriteFile(c.svg, []byte(drawing(metric, lines)), 0o644); err != nil { //nolint:gosec // it is made to be shown
			return err
		}
		p.say("written: %s", c.svg)
	}
	if p.output == "json" {
		return p.json(comparedRecord(runs))
	}
	for _, line := range braille(metric, lines) {
		p.print("%s", line)
	}
	return nil
}
