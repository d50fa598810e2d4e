package engine

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Point is one value of a metric that a stage has reported.
type Point struct {
	Stage   string // "train", "train[3]", "nested/train"
	Attempt int
	Metric  string
	Value   float64
	Step    float64
	HasStep bool
}

// MetricsReader reads what the stages of a run report, each point once.
type MetricsReader struct {
	e    *Engine
	jobs map[string]*readings // by job
}

// readings are those of one job.
type readings struct {
	at    int64
	text  *workers.Readings
	whole bool // there is no more
}

// MetricsReader returns a reader that has read nothing yet.
func (e *Engine) MetricsReader() *MetricsReader {
	return &MetricsReader{e: e, jobs: map[string]*readings{}}
}

// Read calls f with every point that is new, of all stages of a run or of one that is named
// with its items and those within it, one stage after the other. Of attempts before the
// last it has what their targets still keep. lacks says what cannot be read.
func (m *MetricsReader) Read(ctx context.Context, p *flow.Progress, stage string, f func(Point)) (lacks []error) {
	leaves(p.Stages, "", func(name string, s *flow.StageProgress) {
		if s.Job == "" || s.Count != nil || stage != "" && !belongs(name, stage) || ctx.Err() != nil {
			return
		}
		for n, job := range earlierJobs(s) {
			one := *s
			one.Job, one.History = job, ""
			_ = m.job(ctx, &one, p.Store, true, func(r workers.Report) { each(name, n+1, r, f) }) // its folder may have gone
		}
		if err := m.job(ctx, s, p.Store, s.Status.Ended(), func(r workers.Report) { each(name, s.Attempts, r, f) }); err != nil {
			lacks = append(lacks, err)
		}
	})
	return lacks
}

// belongs reports whether a stage is another one, an item of it or within it.
func belongs(name, stage string) bool {
	rest, ok := strings.CutPrefix(name, stage)
	return ok && (rest == "" || rest[0] == '[' || rest[0] == '/')
}

func each(stage string, attempt int, r workers.Report, f func(Point)) {
	for _, metric := range slices.Sorted(maps.Keys(r.Values)) {
		f(Point{stage, attempt, metric, r.Values[metric], r.Step, r.HasStep})
	}
}

// job reads what is new of one job.
func (m *MetricsReader) job(ctx context.Context, s *flow.StageProgress, store string, ended bool, f func(workers.Report)) (err error) {
	r := m.jobs[s.Job]
	if r == nil {
		r = &readings{text: workers.ReadingsFrom(0)}
		m.jobs[s.Job] = r
	}
	if r.whole {
		return nil
	}
	if s.History != "" {
		err = kept(ctx, store, s.History, r)
	} else if s.Place != nil {
		r.at, err = m.e.Metrics(ctx, s, r.at, r.text)
	}
	r.whole = ended && err == nil
	for _, one := range r.text.Take(r.whole) {
		f(one)
	}
	return err
}

// kept reads the copy in the store.
func kept(ctx context.Context, store string, ref target.Ref, r *readings) error {
	b, err := blob.OpenFolder(store)
	if err != nil {
		return err
	}
	text, err := b.Open(ctx, ref)
	if err != nil {
		return removed(b, ref, err)
	}
	_, err = io.CopyN(io.Discard, text, r.at)
	if err == nil {
		var n int64
		n, err = io.Copy(r.text, text)
		r.at += n
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, text.Close())
}

// mostLive is of how many running stages metrics are looked for at once.
const mostLive = 64

// Measure adds to the stages of a run that are running what they have reported so far.
func (e *Engine) Measure(ctx context.Context, p *flow.Progress) {
	m, looked := e.MetricsReader(), 0
	leaves(p.Stages, "", func(_ string, s *flow.StageProgress) {
		if s.Status != target.Running || s.Job == "" || s.Count != nil || len(s.Metrics) > 0 || looked >= mostLive {
			return
		}
		looked++
		last, newest := map[string]float64{}, map[string]*workers.Newest{}
		_ = m.job(ctx, s, p.Store, false, func(r workers.Report) {
			for name, x := range finite(r.Values) {
				if newest[name] == nil {
					newest[name] = &workers.Newest{}
				}
				if newest[name].Is(r) {
					last[name] = x
				}
			}
		})
		if len(last) > 0 {
			s.Metrics = last
		}
	})
}

// finite leaves out what JSON has no number for.
func finite(values map[string]float64) map[string]float64 {
	good := make(map[string]float64, len(values))
	for name, x := range values {
		if x-x == 0 {
			good[name] = x
		}
	}
	return good
}
