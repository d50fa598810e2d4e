package tracking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/ranks"
)

// point is one value of a metric.
type point struct {
	Run   string `json:"run_id,omitempty"`
	Key   string `json:"key"`
	Value number `json:"value"`
	Time  whole  `json:"timestamp"` // milliseconds since 1970
	Step  whole  `json:"step,omitempty"`
	Model string `json:"model_id,omitempty"`
}

func (p point) said() map[string]any {
	m := map[string]any{"key": p.Key, "value": p.Value, "timestamp": p.Time, "step": p.Step}
	if p.Model != "" {
		m["model_id"] = p.Model
	}
	return m
}

// origin is what a line of metrics says of where it comes from, under this name.
const originName = "mlflow"

type origin struct {
	Run   string `json:"run"`
	Time  whole  `json:"time"`
	Model string `json:"model,omitempty"`
}

// latest is the value that counts, as MLflow has it: that of the last step, and of several
// the last in time.
func latest(all []point) point {
	best := all[0]
	for _, p := range all[1:] {
		if p.Step > best.Step || p.Step == best.Step && p.Time >= best.Time {
			best = p
		}
	}
	return best
}

// addPoint reports whether a point is new.
func (s *state) addPoint(p point) bool {
	r := s.runs[p.Run]
	if r == nil || r.has(p) {
		return false
	}
	r.metrics[p.Key] = append(r.metrics[p.Key], p)
	return true
}

// maxBatch is how many points a request can have, so that one which comes again is found
// among so many.
const maxBatch = 1000

func (r *run) has(p point) bool {
	all := r.metrics[p.Key]
	for i := len(all) - 1; i >= max(0, len(all)-maxBatch); i-- {
		if o := all[i]; o.Step == p.Step && o.Time == p.Time && o.Value.same(p.Value) && o.Model == p.Model {
			return true
		}
	}
	return false
}

// logPoints writes metrics where they belong: those of a run of its own among those that
// the job writes itself, those of a part of another run into the journal.
func (j *job) logPoints(r *run, all []point) error {
	var fresh []point
	for _, p := range all {
		p.Run = r.info.ID
		if p.Key == "" {
			return invalid("a metric has a name")
		}
		if !r.has(p) {
			fresh = append(fresh, p)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	var lines []byte
	var inside []change
	for len(fresh) > 0 {
		n := together(fresh)
		if r.info.nested() || reserved(fresh[0].Key) {
			for i := range fresh[:n] {
				inside = append(inside, change{Metric: &fresh[i]})
			}
		} else {
			lines = append(lines, line(fresh[:n])...)
			lines = append(lines, '\n')
		}
		fresh = fresh[n:]
	}
	if err := j.write(inside...); err != nil || lines == nil {
		return err
	}
	if err := appendLines(filepath.Join(j.dir, ranks.MetricsFile), lines); err != nil {
		return err
	}
	for text := range bytes.Lines(lines) {
		j.readMetrics(text)
	}
	return nil
}

// reserved are names that mean something else in a line of metrics.
func reserved(key string) bool { return key == "step" || key == originName }

// together is how many points go into one line: different metrics of one moment. What JSON
// has no number for is alone: not every reader takes such a line.
func together(all []point) int {
	seen := map[string]bool{}
	for i, p := range all {
		first := all[0]
		if odd := !p.Value.finite(); odd && i == 0 {
			return 1
		} else if odd || seen[p.Key] || p.Step != first.Step || p.Time != first.Time || p.Model != first.Model || reserved(p.Key) {
			return max(i, 1)
		}
		seen[p.Key] = true
	}
	return len(all)
}

// line writes points as a job writes metrics itself: {"loss": 0.3, "step": 4, …}.
func line(all []point) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	put := func(key string, v any) {
		k, _ := json.Marshal(key)
		text, _ := json.Marshal(v) // numbers and texts
		b.Write(k)
		b.WriteByte(':')
		b.Write(text)
	}
	for _, p := range all {
		if p.Value.finite() {
			put(p.Key, p.Value)
		} else { // as Python writes it, and reads it
			k, _ := json.Marshal(p.Key)
			text, _ := json.Marshal(p.Value)
			fmt.Fprintf(&b, "%s:%s", k, bytes.Trim(text, `"`))
		}
		b.WriteByte(',')
	}
	put("step", all[0].Step)
	b.WriteByte(',')
	put(originName, origin{all[0].Run, all[0].Time, all[0].Model})
	b.WriteByte('}')
	return b.Bytes()
}

// readMetrics takes a line of the job's metrics, if it is one that we have written.
func (s *state) readMetrics(text []byte) {
	for _, p := range readPoints(text) {
		s.addPoint(p)
	}
}

// readPoints are those of a line of metrics, if it is one that we have written.
func readPoints(text []byte) (all []point) {
	if !bytes.Contains(text, []byte(`"`+originName+`":{`)) {
		return nil
	}
	var row map[string]json.RawMessage
	var o origin
	var step whole
	for _, odd := range []string{"NaN", "Infinity", "-Infinity"} {
		text = bytes.ReplaceAll(text, []byte(":"+odd+","), []byte(`:"`+odd+`",`))
	}
	if json.Unmarshal(text, &row) != nil || json.Unmarshal(row[originName], &o) != nil {
		return nil
	}
	_ = json.Unmarshal(row["step"], &step)
	for key, value := range row {
		var n number
		if !reserved(key) && json.Unmarshal(value, &n) == nil {
			all = append(all, point{o.Run, key, n, o.Time, step, o.Model})
		}
	}
	return all
}

func (d *desk) metricRoutes(mux *http.ServeMux) {
	d.handle(mux, "POST runs/log-metric", does((*job).logMetric))
	d.handle(mux, "GET metrics/get-history", does((*job).history))
	d.handle(mux, "GET metrics/get-history-bulk-interval", does((*job).histories))
}

func (j *job) logMetric(in struct {
	point
	RunUUID string `json:"run_uuid"`
}) (any, error) {
	r, err := j.run(runIn{RunID: in.Run, RunUUID: in.RunUUID}.id())
	if err != nil {
		return nil, err
	}
	return nil, j.logPoints(r, []point{in.point})
}

func (j *job) history(in struct {
	runIn
	Metric string `json:"metric_key"`
	Max    whole  `json:"max_results"`
	Token  string `json:"page_token"`
}) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	points, next, err := cut(r.metrics[in.Metric], int(in.Max), in.Token)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]any, len(points))
	for i, p := range points {
		all[i] = p.said()
	}
	return page("metrics", all, next), nil
}

func (j *job) histories(in struct {
	Runs   []string `json:"run_ids"`
	Metric string   `json:"metric_key"`
	Start  *whole   `json:"start_step"`
	End    *whole   `json:"end_step"`
}) (any, error) {
	all := []map[string]any{}
	for _, id := range in.Runs {
		r, err := j.run(id)
		if err != nil {
			return nil, err
		}
		for _, p := range r.metrics[in.Metric] {
			if (in.Start == nil || p.Step >= *in.Start) && (in.End == nil || p.Step <= *in.End) {
				m := p.said()
				m["run_id"] = id
				all = append(all, m)
			}
		}
	}
	return map[string]any{"metrics": all}, nil
}
