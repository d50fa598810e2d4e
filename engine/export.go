package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// Exporting says what an export holds, and who writes it.
type Exporting struct {
	Artifacts bool                                 // also what the stages made
	Record    func(*flow.Progress) ([]byte, error) // the record of a run, as machines read it
	Build     string                               // of this program
}

// exporter writes one run into a folder.
type exporter struct {
	e      *Engine
	o      Exporting
	dir    string
	run    *flow.Progress
	absent []string // what is not in the folder, and why
}

// Export writes a run into the empty folder dir, as files that can be read without
// amlflow; README.txt says what each of them is. Of a run that has ended it writes
// the same bytes whenever it is asked, until something of the run is removed.
// Secrets are masked as they are everywhere: a log that cannot be masked any more is
// left out.
func (e *Engine) Export(ctx context.Context, id, dir string, o Exporting) (*flow.Progress, error) {
	p, err := e.Progress(ctx, id)
	if err != nil {
		return nil, err
	}
	x := &exporter{e: e, o: o, dir: dir, run: p}
	for _, part := range []func(context.Context) error{x.record, x.plan, x.events, x.results, x.metrics, x.logs, x.artifacts, x.readme} {
		if err := part(ctx); err != nil {
			return p, fmt.Errorf("export run %s: %w", id, err)
		}
	}
	return p, sums(dir)
}

// write makes one file of the export. name has slashes.
func (x *exporter) write(name string, text []byte) error {
	path := filepath.Join(x.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // it is made to be handed on
}

func (x *exporter) lack(format string, args ...any) {
	x.absent = append(x.absent, fmt.Sprintf(format, args...))
}

func (x *exporter) record(context.Context) error {
	text, err := x.o.Record(x.run)
	if err != nil {
		return err
	}
	return x.write("record.json", text)
}

func (x *exporter) plan(ctx context.Context) error {
	p, err := x.e.planOf(ctx, x.run.Run)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		x.lack("the plan: %v", err)
		return nil
	}
	return x.write("plan.json", p.JSON())
}

// stageResults are what a stage gave.
type stageResults struct {
	Outputs map[string]any     `json:"outputs,omitempty"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Lists   map[string]any     `json:"metric_lists,omitempty"`
}

func (x *exporter) results(context.Context) error {
	stages := map[string]stageResults{}
	leaves(x.run.Stages, "", func(name string, s *flow.StageProgress) {
		if len(s.Outputs)+len(s.Metrics)+len(s.Lists) > 0 {
			stages[name] = stageResults{s.Outputs, s.Metrics, s.Lists}
		}
	})
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"outputs": x.run.Outputs, "stages": stages}); err != nil {
		return err
	}
	return x.write("results.json", b.Bytes())
}

// leaves calls f with every stage, its items and those of the pipelines that stages
// run, by the name that people give it: "train", "train[3]", "nested/train".
func leaves(stages []flow.StageProgress, within string, f func(name string, s *flow.StageProgress)) {
	for i := range stages {
		s := &stages[i]
		f(within+s.Name, s)
		leaves(s.Items, within, f)
		if s.Nested != nil {
			leaves(s.Nested.Stages, within+s.Name+"/", f)
		}
	}
}

// artifacts adds what the stages made, when it is asked for.
func (x *exporter) artifacts(ctx context.Context) error {
	if !x.o.Artifacts {
		return nil
	}
	b, err := blob.OpenFolder(x.run.Store)
	if err != nil {
		return err
	}
	var failed error
	leaves(x.run.Stages, "", func(name string, s *flow.StageProgress) {
		for _, output := range slices.Sorted(maps.Keys(s.Outputs)) {
			text, _ := s.Outputs[output].(string)
			if ref := target.Ref(text); ref.Valid() && failed == nil {
				failed = x.artifact(ctx, b, name, output, ref)
			}
		}
		if s.Tracked != "" && failed == nil {
			failed = x.artifact(ctx, b, name, Tracked, s.Tracked)
		}
	})
	return failed
}

func (x *exporter) artifact(ctx context.Context, b blob.Folder, stage, output string, ref target.Ref) error {
	if !b.Has(ref) {
		x.lack("the output %q of stage %q: %s is no longer kept", output, stage, ref)
		return nil
	}
	to := filepath.Join(x.dir, "artifacts", filepath.FromSlash(stage), output)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := target.Get(ctx, b, ref, to); err != nil {
		return fmt.Errorf("the output %q of stage %q: %w", output, stage, err)
	}
	return nil
}

func (x *exporter) readme(context.Context) error {
	var b bytes.Buffer
	p := x.run
	fmt.Fprintf(&b, "Run %s of the pipeline %s\n\n", p.Run, p.Pipeline)
	fmt.Fprintf(&b, "It began at %s", p.Started.UTC().Format(time.RFC3339))
	if p.Status.Ended() {
		fmt.Fprintf(&b, ", ended at %s, and has %s.\n", p.Ended.UTC().Format(time.RFC3339), p.Status)
	} else {
		b.WriteString(" and goes on: this is how it stands.\n")
	}
	b.WriteString(`
What is here
  record.json     the run: its parameters, each stage with its state, times, results and
                  why it failed, as "amlflow status -o json" prints it
  plan.json       what the run was to do: scripts, conditions, targets
  events.ndjson   what happened, one event a line, in order
  results.json    what the run and its stages gave: values, metrics, names of artifacts
  metrics/        all that stages reported of metrics, as JSON lines, by stage
  logs/           what jobs printed, by stage; attempts before the last and further
                  ranks have their number in the name
`)
	if x.o.Artifacts {
		b.WriteString("  artifacts/      the files and folders that stages made, as STAGE/OUTPUT\n")
	}
	b.WriteString("  SHA256SUMS      the digests of all these files: sha256sum -c SHA256SUMS\n")
	if len(x.absent) > 0 {
		b.WriteString("\nWhat is not here\n")
		for _, what := range x.absent {
			fmt.Fprintf(&b, "  %s\n", what)
		}
	}
	b.WriteString("\nAll of it is text in UTF-8 but what jobs made or printed. Values of secrets are masked\nby asterisks, though not in artifacts, which are as jobs made them. An artifact is named\nby the SHA-256 digest of its content.\n")
	fmt.Fprintf(&b, "\nWritten by amlflow %s.\n", x.o.Build)
	return x.write("README.txt", b.Bytes())
}
