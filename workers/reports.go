package workers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// How often metrics are looked for while a job runs, and no more often than takes a
// tenth of the time.
const (
	reportsEvery = 250 * time.Millisecond
	reportsShare = 10
	maxLine      = 64 << 10 // longer lines are passed over
)

// Report is one line that a job has appended to its metrics.
type Report struct {
	// Step is what the line says under "step"; HasStep is false when it says nothing.
	Step    float64
	HasStep bool
	// Values are the numbers of the line. NaN and the infinities are among them, as
	// Python writes them.
	Values map[string]float64
	// Offset is where the next line begins, in bytes of the job's metrics.
	Offset int64
}

type reportsKey struct{}

// listener is somebody who wants to hear of metrics.
type listener struct {
	from  int64
	heard func([]Report)
	outer *listener
}

// OnMetrics has heard called with the metrics of a job that is run within ctx, while it
// goes on: the lines behind the byte from, in their order, each once. When the job has
// ended, the last of them were heard before its outcome is returned. Who has heard of a
// report may go on behind its Offset in another process. Several may listen; a job that
// nobody listens to is not asked.
func OnMetrics(ctx context.Context, from int64, heard func([]Report)) context.Context {
	outer, _ := ctx.Value(reportsKey{}).(*listener)
	return context.WithValue(ctx, reportsKey{}, &listener{from, heard, outer})
}

// reporter reads the metrics of a job while it is followed, for those who listen.
type reporter struct {
	driver target.Driver
	sub    Submission
	veil   veil
	to     *listener // nil: nobody listens

	mu    sync.Mutex // held while it looks
	at    int64      // how far it has read
	lines lines
}

func newReporter(ctx context.Context, d target.Driver, s Submission, v veil) *reporter {
	r := &reporter{driver: d, sub: s, veil: v}
	if r.to, _ = ctx.Value(reportsKey{}).(*listener); r.to == nil {
		return r
	}
	r.at = r.to.from
	for l := r.to; l != nil; l = l.outer {
		r.at = min(r.at, l.from)
	}
	r.lines.next = r.at
	return r
}

// watch looks for metrics until the function that it returns is called, which waits for
// a look under way.
func (r *reporter) watch(ctx context.Context) (stop func()) {
	if r.to == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var over sync.WaitGroup
	over.Go(func() {
		for pause := reportsEvery; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			began := time.Now()
			r.look(ctx)
			pause = max(reportsEvery, reportsShare*time.Since(began))
		}
	})
	return func() { cancel(); over.Wait() }
}

// look hands on what is new. What cannot be read now is read by the next look.
func (r *reporter) look(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, _ = r.driver.Read(ctx, r.sub.Target, r.sub.Job.ID, target.Stream{Name: target.Metrics}, r.at, &r.lines)
	r.tell()
}

// last hands on what is left of all metrics of a job that has ended.
func (r *reporter) last(all []byte) {
	if r.to == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at < int64(len(all)) {
		_, _ = r.lines.Write(all[r.at:])
	}
	r.at = int64(len(all))
	r.lines.end()
	r.tell()
}

// tell hands the reports that were read to each listener.
func (r *reporter) tell() {
	all := r.lines.take()
	for i := range all {
		all[i].Values = r.veil.metrics(all[i].Values)
	}
	for l := r.to; l != nil; l = l.outer {
		mine := all
		for len(mine) > 0 && mine[0].Offset <= l.from {
			mine = mine[1:]
		}
		if len(mine) > 0 {
			l.heard(mine)
		}
	}
}

// lines makes reports of what is written to it.
type lines struct {
	next    int64 // where the line begins that is not whole yet
	part    []byte
	long    bool // the line is passed over
	skipped int64
	got     []Report
}

// Write implements io.Writer.
func (l *lines) Write(text []byte) (int, error) {
	n := len(text)
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			l.add(text)
			return n, nil
		}
		l.add(text[:end])
		l.line(1)
		text = text[end+1:]
	}
}

// add puts a part of a line aside.
func (l *lines) add(text []byte) {
	if l.long = l.long || len(l.part)+len(text) > maxLine; l.long {
		l.skipped += int64(len(l.part) + len(text))
		l.part = l.part[:0]
		return
	}
	l.part = append(l.part, text...)
}

// line ends the line that was put aside.
func (l *lines) line(newline int64) {
	l.next += int64(len(l.part)) + l.skipped + newline
	if report, ok := readReport(l.part); ok && !l.long {
		report.Offset = l.next
		l.got = append(l.got, report)
	}
	l.part, l.long, l.skipped = l.part[:0], false, 0
}

// end takes what is left for a line, as there will be no more of it.
func (l *lines) end() {
	if len(l.part) > 0 || l.long {
		l.line(0)
	}
}

func (l *lines) take() []Report {
	got := l.got
	l.got = nil
	return got
}

// noNumbers are what Python's json module writes and JSON does not know, and what stands
// for them. The longest comes first.
var noNumbers = []noNumber{{"-Infinity", math.Inf(-1)}, {"Infinity", math.Inf(1)}, {"NaN", math.NaN()}}

type noNumber struct {
	text string
	is   float64
}

// strict is a line with what JSON does not know replaced by a list of its number among
// noNumbers.
func strict(line []byte) []byte {
	var out []byte
	quoted := false
	for i := 0; i < len(line); i++ {
		if c := line[i]; c == '"' || quoted {
			switch {
			case c == '"':
				quoted = !quoted
			case c == '\\' && i+1 < len(line):
				out = append(out, c)
				i++
			}
			out = append(out, line[i])
			continue
		}
		n := slices.IndexFunc(noNumbers, func(n noNumber) bool { return bytes.HasPrefix(line[i:], []byte(n.text)) })
		if n < 0 {
			out = append(out, line[i])
			continue
		}
		out = fmt.Appendf(out, "[%d]", n)
		i += len(noNumbers[n].text) - 1
	}
	return out
}

// readReport reads a line of JSON. A line without numbers is none.
func readReport(line []byte) (Report, bool) {
	var row map[string]any
	odd := false
	if json.Unmarshal(line, &row) != nil {
		if odd = true; json.Unmarshal(strict(line), &row) != nil {
			return Report{}, false
		}
	}
	r := Report{Values: make(map[string]float64, len(row))}
	for name, v := range row {
		x, isNumber := number(v, odd)
		switch {
		case !isNumber:
		case name == "step":
			r.Step, r.HasStep = x, !math.IsNaN(x) && !math.IsInf(x, 0)
		default:
			r.Values[name] = x
		}
	}
	return r, len(r.Values) > 0
}

// number is v if it is one; in an odd line, a list may stand for what JSON has not.
func number(v any, odd bool) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case []any:
		if odd && len(v) == 1 {
			if n, ok := v[0].(float64); ok && n >= 0 && int(n) < len(noNumbers) {
				return noNumbers[int(n)].is, true
			}
		}
	}
	return 0, false
}
