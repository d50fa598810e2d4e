package tracking

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// store is what a job has logged into StoreDir.
type store struct {
	texts map[string]string // by path: all but files that were logged
	size  int64
	files []target.Entry // those, by the paths that Keep has for them
}

// mostText bounds what is held of one store: params, tags, metrics, and what describes them.
const mostText = 256 << 20

// KeepStore stores what a job on another machine has logged with MLflow's file store, as Keep
// does. archive is a tar of StoreDir, whose paths are hostile, and metrics what the job has
// reported; more are lines of those that are only in the store, because the client did not
// take the plugin. The name is empty when nothing was logged.
func KeepStore(ctx context.Context, archive *tar.Reader, metrics []byte, out target.Blobs) (kept target.Ref, more []byte, err error) {
	s := store{texts: map[string]string{}}
	if err := s.read(ctx, archive, out); err != nil {
		return "", nil, fmt.Errorf("what was logged with MLflow: %w", err)
	}
	l, points := s.logged()
	if len(l.Runs)+len(l.Models)+len(l.Registered)+len(s.files) == 0 {
		return "", nil, nil
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return "", nil, err
	}
	ref, err := target.PutLog(ctx, out, bytes.NewReader(append(text, '\n'))) // like a log, it may quote secrets
	if err != nil {
		return "", nil, err
	}
	s.files = append(s.files, target.Entry{Path: RunsFile, Ref: ref})
	if kept, err = target.PutList(ctx, out, s.files); err != nil {
		return "", nil, err
	}
	return kept, unsaid(points, metrics), nil
}

// read takes the files of a tar. What is no regular file, or too much, is passed over:
// training of hours must not fail for what it has said of itself.
func (s *store) read(ctx context.Context, t *tar.Reader, out target.Blobs) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p := path.Clean(strings.TrimPrefix(path.Clean(h.Name), StoreDir+"/"))
		if h.Typeflag != tar.TypeReg || path.IsAbs(p) || strings.HasPrefix(p, "../") || strings.HasPrefix(p, ".trash/") {
			continue
		}
		if at := fileOf(p); at != "" {
			ref, err := out.Put(ctx, t)
			if err != nil {
				return err
			}
			s.files = append(s.files, target.Entry{Path: at, Exec: h.Mode&0o111 != 0, Ref: ref})
			continue
		}
		if s.size += h.Size; s.size > mostText {
			s.size -= h.Size
			continue
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		s.texts[p] = string(text)
	}
}

// fileOf is where Keep has a file that was logged; empty for what describes it.
//
//	EXPERIMENT/RUN/artifacts/…           runs/RUN/…
//	EXPERIMENT/models/MODEL/artifacts/…  models/MODEL/…
//	EXPERIMENT/traces/TRACE/artifacts/…  traces/TRACE/…
func fileOf(p string) string {
	f := strings.Split(p, "/")
	switch {
	case len(f) > 3 && f[2] == "artifacts" && f[1] != "models" && f[1] != "traces":
		return path.Join("runs", f[1], path.Join(f[3:]...))
	case len(f) > 4 && f[3] == "artifacts" && (f[1] == "models" || f[1] == "traces"):
		return path.Join(f[1], f[2], path.Join(f[4:]...))
	}
	return ""
}

// under are the texts in a folder, by their names in it. A name may have a slash.
func (s *store) under(dir string) map[string]string {
	all := map[string]string{}
	for p, text := range s.texts {
		if name, ok := strings.CutPrefix(p, dir+"/"); ok {
			all[name] = text
		}
	}
	return all
}

// logged is what the texts say, and the values of metrics that are those of the job: not those
// of parts of other runs.
func (s *store) logged() (l Logged, points []point) {
	l.Runs = []Run{}
	gone := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(s.texts)) {
		f := strings.Split(p, "/")
		switch dir := path.Dir(p); {
		case f[len(f)-1] != "meta.yaml":
		case f[0] == "models" && len(f) == 4: // NAME/version-N
			about := flat(s.texts[p])
			n, _ := strconv.Atoi(strings.TrimPrefix(f[2], "version-"))
			l.Registered = append(l.Registered, Registered{Name: f[1], Version: n, Source: cmp.Or(about["storage_location"], about["source"]), Aliases: s.aliases(f[1], n)})
		case len(f) == 3 && f[0] != "models":
			r, all := s.run(dir)
			if flat(s.texts[p])["lifecycle_stage"] == deleted {
				gone[path.Join("runs", f[1])] = true
				continue
			}
			if l.Runs = append(l.Runs, r); r.Parent == "" {
				points = append(points, all...)
			}
		case len(f) == 4 && f[1] == "models":
			about := flat(s.texts[p])
			l.Models = append(l.Models, Model{f[2], about["name"], about["source_run_id"], s.under(dir + "/params"), s.under(dir + "/tags")})
		}
	}
	s.files = slices.DeleteFunc(s.files, func(e target.Entry) bool {
		f := strings.SplitN(e.Path, "/", 3)
		return gone[path.Join(f[0], f[1])]
	})
	slices.SortStableFunc(l.Registered, func(a, b Registered) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	slices.SortStableFunc(l.Runs, func(a, b Run) int { return cmp.Compare(a.Started, b.Started) })
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Step, b.Step)) })
	return l, points
}

// aliases are what the job calls a version of a model: each is a file that holds its number.
func (s *store) aliases(name string, n int) []string {
	var all []string
	for alias, text := range s.under("models/" + name + "/aliases") {
		if strings.TrimSpace(text) == strconv.Itoa(n) {
			all = append(all, alias)
		}
	}
	slices.Sort(all)
	return all
}

// stateNames are MLflow's numbers for the states of runs.
var stateNames = map[string]string{"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}

// run is the run in a folder.
func (s *store) run(dir string) (Run, []point) {
	about := flat(s.texts[dir+"/meta.yaml"])
	tags := s.under(dir + "/tags")
	experiment := flat(s.texts[path.Dir(dir)+"/meta.yaml"])["name"]
	r := Run{
		ID: path.Base(dir), Name: cmp.Or(tags["mlflow.runName"], about["run_name"]), Experiment: experiment, Status: cmp.Or(stateNames[about["status"]], "RUNNING"),
		Parent: tags["mlflow.parentRunId"], Params: s.under(dir + "/params"), Tags: tags, Last: map[string]any{},
	}
	r.Started, _ = strconv.ParseInt(about["start_time"], 10, 64)
	r.Ended, _ = strconv.ParseInt(about["end_time"], 10, 64)
	for name := range s.under(dir + "/inputs") {
		id, isMeta := strings.CutSuffix(name, "/meta.yaml")
		source := flat(s.texts[dir+"/inputs/"+id+"/meta.yaml"])["source_id"]
		if set := flat(s.texts[path.Dir(dir)+"/datasets/"+source+"/meta.yaml"]); isMeta && len(set) > 0 {
			r.Datasets = append(r.Datasets, map[string]any{"dataset": set})
		}
	}
	var points []point
	for key, text := range s.under(dir + "/metrics") {
		all := pointsOf(r.ID, key, text)
		if len(all) > 0 {
			r.Last[key] = latest(all).Value
		}
		points = append(points, all...)
	}
	return r, points
}

// pointsOf reads the lines of a metric: the time, the value, the step, and perhaps more. One
// that was being written is passed over.
func pointsOf(run, key, text string) []point {
	var all []point
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasSuffix(line, "\n") {
			continue
		}
		at, err := strconv.ParseInt(f[0], 10, 64)
		value, err2 := strconv.ParseFloat(f[1], 64)
		if err != nil || err2 != nil {
			continue
		}
		p := point{Run: run, Key: key, Value: number(value), Time: whole(at)}
		if len(f) > 2 {
			step, _ := strconv.ParseInt(f[2], 10, 64)
			p.Step = whole(step)
		}
		all = append(all, p)
	}
	return all
}

// unsaid are lines of metrics for the points that are not among those that were reported.
func unsaid(points []point, reported []byte) []byte {
	name := func(p point) string {
		return fmt.Sprint(p.Run, "\x00", p.Key, "\x00", p.Step, "\x00", p.Time, "\x00", p.Value)
	}
	said := map[string]int{}
	for line := range bytes.Lines(reported) {
		for _, p := range readPoints(line) {
			said[name(p)]++
		}
	}
	var lines []byte
	for _, p := range points {
		if n := name(p); said[n] > 0 {
			said[n]--
			continue
		}
		if !reserved(p.Key) && len(reported)+len(lines) < ranks.MaxMetrics-1<<16 {
			lines = append(append(lines, line([]point{p})...), '\n')
		}
	}
	return lines
}
