package workers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// The bounds of what a job may hand to the engine as values; larger things are
// artifacts.
const (
	maxValues = 64 << 10
	tailLines = 20
	tailBytes = 8 << 10
)

// collect gathers what a job left and holds it against what it promised. Secrets
// are hidden at once in what is not hidden afterwards: what may be cut short.
func collect(ctx context.Context, d target.Driver, s Submission, st target.Status, blobs target.Blobs, v veil, m *reporter) (Outcome, error) {
	st = believed(st)
	o := Outcome{Status: st}
	if st.State == target.Lost {
		return o, nil
	}
	var r target.Results
	gather := func(ctx context.Context) (err error) {
		if r, err = d.Collect(ctx, s.Target, s.Job.ID, blobs); err == nil && r.History == "" && len(r.Metrics) > 0 {
			r.History, err = target.PutLog(ctx, blobs, bytes.NewReader(r.Metrics)) // like a log, it may quote secrets
		}
		return err
	}
	if err := v.error(beating(ctx, gather)); err != nil {
		if errors.Is(err, target.ErrUnreachable) {
			return o, err // they are there, and stay
		}
		if _, err := refused(ctx, err, s.patience()); err != nil {
			return o, err
		}
		return fail(o, "its results could not be collected: "+words(err)), nil
	}
	m.last(r.Metrics)
	o.Artifacts, o.Log, o.Logs, o.Tracked, o.History = r.Artifacts, r.Log, r.Logs, r.Tracked, r.History
	o.Metrics = v.metrics(lastMetrics(r.Metrics))
	if s.Batch != nil && st.Cause == target.CauseExit {
		if why := s.Batch.Explain(st.Exit, o.Metrics); why != "" {
			o.Reason = why
		}
	}
	if st.State == target.Succeeded {
		if err := v.error(logged(ctx, blobs, s, &o)); err != nil {
			return o, err
		}
		values, err := readValues(r.Values)
		o = promised(o, s, v.object(values), err)
	}
	if o.State != target.Succeeded {
		o.Tail = tail(ctx, blobs, o.Log)
	}
	return o, nil
}

// promised fails an outcome that lacks an output, or has one of another type. err
// says why the values could not be read.
func promised(o Outcome, s Submission, values map[string]any, err error) Outcome {
	var wrong []string
	for _, out := range s.Job.Outputs {
		if _, ok := o.Artifacts[out.Name]; !ok {
			wrong = append(wrong, fmt.Sprintf("it did not write the output %q: write the %s to $%s", out.Name, out.Type, target.EnvName("AMLFLOW_OUTPUT_", out.Name)))
		}
	}
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	o.Values = map[string]any{}
	for _, name := range sortedKeys(s.Values) {
		v, ok := values[name]
		switch {
		case !ok && err == nil:
			wrong = append(wrong, fmt.Sprintf("it did not report the output %q: write {%q: …} as JSON to $AMLFLOW_OUTPUTS", name, name))
		case ok && !isType(v, s.Values[name]):
			wrong = append(wrong, fmt.Sprintf("the output %q is %.40s, which is not of type %s", name, text(v), s.Values[name]))
		case ok:
			o.Values[name] = v
		}
	}
	for _, name := range sortedKeys(s.Metrics) {
		if _, ok := o.Metrics[name]; !ok {
			o.Notes = append(o.Notes, fmt.Sprintf("the metric %q was not reported: append {%q: …} as a line of JSON to $AMLFLOW_METRICS", name, name))
		}
	}
	if len(wrong) > 0 {
		return fail(o, strings.Join(wrong, "; "))
	}
	return o
}

func fail(o Outcome, reason string) Outcome {
	o.State, o.Cause, o.Reason = target.Failed, CauseOutput, "the job ended, but "+reason
	return o
}

func readValues(text []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	if len(text) > maxValues {
		return nil, fmt.Errorf("its values take %d bytes, but at most %d are kept: declare an output of type file for large results", len(text), maxValues)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("what it wrote to $AMLFLOW_OUTPUTS is not a JSON object: %v", err)
	}
	return m, nil
}

func isType(v any, typ string) bool {
	switch x := v.(type) {
	case string:
		return typ == "string"
	case bool:
		return typ == "boolean"
	case float64:
		return typ == "number" || typ == "integer" && x == math.Trunc(x)
	case []any:
		return typ == "list"
	}
	return false
}

func text(v any) string {
	b, _ := json.Marshal(v) // it was read from JSON
	return string(b)
}

// lastMetrics reads JSON lines of {"name": number, …} and keeps the number of each name
// that counts (see Newest); one that diverged, NaN, leaves what was before it. Lines that are
// something else are passed over: a metrics file must not fail hours of training.
func lastMetrics(text []byte) map[string]float64 {
	m, newest := map[string]float64{}, map[string]*Newest{}
	for line := range bytes.Lines(text) {
		r, ok := readReport(line)
		if !ok {
			continue
		}
		for name, x := range r.Values {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				continue
			}
			if newest[name] == nil {
				newest[name] = &Newest{}
			}
			if newest[name].Is(r) {
				m[name] = x
			}
		}
	}
	return m
}

// tail returns the last lines of a log, cut to what people read.
func tail(ctx context.Context, blobs target.Blobs, log target.Ref) []string {
	if log == "" {
		return nil
	}
	r, err := blobs.Open(ctx, log)
	if err != nil {
		return []string{"(the log cannot be read: " + words(err) + ")"}
	}
	defer r.Close()
	return lastLines(r)
}

func lastLines(r io.Reader) []string {
	keep := make([]byte, 0, 2*tailBytes)
	in := bufio.NewReaderSize(r, tailBytes)
	buf := make([]byte, tailBytes)
	for {
		n, err := in.Read(buf)
		keep = append(keep, buf[:n]...)
		if cut := len(keep) - tailBytes; cut > 0 {
			keep = append(keep[:0], keep[cut:]...)
		}
		if err != nil {
			break
		}
	}
	lines := strings.Split(strings.TrimRight(strings.ToValidUTF8(string(keep), "\uFFFD"), "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines[max(0, len(lines)-tailLines):]
}

// words is an error as a person should read it, without our own marks.
func words(err error) string {
	text := err.Error()
	for _, mark := range []error{target.ErrPermanent, target.ErrUnreachable} {
		text = strings.TrimSuffix(strings.ReplaceAll(text, "\n"+mark.Error(), ""), ": "+mark.Error())
	}
	return text
}

func sortedKeys[V any](m map[string]V) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	return ks
}
