package targettest

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var dataQuestions = []question{
	{"EnvironmentIsExact", environmentIsExact},
	{"CodeIsDelivered", codeIsDelivered},
	{"CodeIsACopy", codeIsACopy},
	{"InputsAreDelivered", inputsAreDelivered},
	{"MissingInputIsAnError", missingInputIsAnError},
	{"OutputsAreCollected", outputsAreCollected},
	{"MissingOutputsAreAbsent", missingOutputsAreAbsent},
	{"OutputsOfTheWrongType", outputsOfTheWrongType},
	{"ValuesAndMetrics", valuesAndMetrics},
	{"FailedJobIsCollected", failedJobIsCollected},
	{"LinksAreRefused", linksAreRefused},
}

// contractNames are what a target sets beside AMLFLOW_*, and what shells set.
var contractNames = []string{
	"PATH", "HOME", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "PYTHONUNBUFFERED",
	"RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
	"MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE", "PYTHONPATH", // where the client of MLflow logs into the job's folder
}

// hostile values must arrive byte by byte. The names are harmless.
func hostile() map[string]string {
	var bytes strings.Builder
	for b := 1; b < 256; b++ {
		bytes.WriteByte(byte(b))
	}
	return map[string]string{
		"X_BYTES":   bytes.String(),
		"X_EMPTY":   "",
		"X_LINES":   "a\nb\n\n",
		"X_QUOTES":  `'"\'"'"'` + "`date`$(date)${HOME}$$",
		"X_UNICODE": "größe 数 🚀",
		"X_SPACES":  "  two  ",
		"X_SHELL":   "; rm -rf / & exit 1 #",
		"X_LONG":    strings.Repeat("x", 100_000),
		"IFS":       "ab",
		"PS4":       "$(exit 3)",
	}
}

func environmentIsExact(t *testing.T, h Harness) {
	t.Setenv("X_LEAK", "from the test")
	j := target.Job{ID: "env", Command: []string{"env", "-0"}, Host: maps.Clone(h.Host), Env: hostile(), Grace: grace}
	j.Host["LD_X_LEAK"], j.Host["X_LEAK"], j.Host["LC_TIME"] = "leak", "leak", "C"
	h.succeed(t, j, nil)
	got := map[string]string{}
	for _, kv := range strings.Split(strings.TrimSuffix(h.log(t, j.ID), "\x00"), "\x00") {
		name, value, _ := strings.Cut(kv, "=")
		got[name] = value
	}
	for name, want := range j.Env {
		if got[name] != want {
			t.Errorf("%s: got %.300q, want %.300q", name, got[name], want)
		}
	}
	if got["AMLFLOW_JOB"] != j.ID {
		t.Errorf("AMLFLOW_JOB is %q", got["AMLFLOW_JOB"])
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		_, declared := j.Env[name]
		_, host := h.Host[name]
		if !declared && !host && !slices.Contains(contractNames, name) && !strings.HasPrefix(name, "AMLFLOW_") && name != "LC_TIME" {
			t.Errorf("%s=%q was declared by no one: it may be in job.Host and is none of the names that a job is to have of it", name, got[name])
		}
	}
}

// tree stores a folder with the given files and returns its name.
func tree(t *testing.T, b target.Blobs, files map[string]string, executable ...string) target.Ref {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		mode := os.FileMode(0o644)
		if slices.Contains(executable, name) {
			mode = 0o755
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := target.PutTree(t.Context(), b, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func codeIsDelivered(t *testing.T, h Harness) {
	in := &Blobs{}
	j := h.job("code", `./tools/run; cat "größe 数.txt"; [ ! -x tools/data ]; pwd >/dev/null`)
	j.Code = tree(t, in, map[string]string{"tools/run": "#!/bin/sh\necho ran in ${PWD##*/} >/dev/null; echo ran\n", "tools/data": "", "größe 数.txt": "unicode\n"}, "tools/run")
	h.succeed(t, j, in)
	if got := h.log(t, j.ID); got != "ran\nunicode\n" {
		t.Errorf("got %q", got)
	}
}

// What one job does to its code no other job sees.
func codeIsACopy(t *testing.T, h Harness) {
	in := &Blobs{}
	code := tree(t, in, map[string]string{"file": "text\n"})
	for _, id := range []string{"copy-1", "copy-2"} {
		j := h.job(id, "cat file; echo changed >file; touch new; ls")
		j.Code = code
		h.succeed(t, j, in)
		if got := h.log(t, id); got != "text\nfile\nnew\n" {
			t.Errorf("%s: got %q", id, got)
		}
	}
}

func inputsAreDelivered(t *testing.T, h Harness) {
	in := &Blobs{}
	j := h.job("inputs", `cat "$AMLFLOW_INPUT_ONE_FILE" "$AMLFLOW_INPUT_FOLDER/sub/größe"; ls -A "$AMLFLOW_INPUT_FOLDER/empty"; [ -d "$AMLFLOW_INPUT_FOLDER/empty" ]`)
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(dir+"/sub", 0o755), os.Mkdir(dir+"/empty", 0o755), os.WriteFile(dir+"/sub/größe", []byte("deep\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	folder, err := target.PutTree(t.Context(), in, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	j.Inputs = []target.Artifact{
		{Name: "one-file", Type: target.File, Ref: in.Add(t, "flat\n")},
		{Name: "folder", Type: target.Folder, Ref: folder},
	}
	h.succeed(t, j, in)
	if got := h.log(t, j.ID); got != "flat\ndeep\n" {
		t.Errorf("got %q", got)
	}
}

// A submission that could not fetch an input has started nothing, and the same
// one succeeds once the input is there.
func missingInputIsAnError(t *testing.T, h Harness) {
	in := &Blobs{}
	j := h.job("missing-input", `cat "$AMLFLOW_INPUT_FEW_ROWS"`)
	j.Inputs = []target.Artifact{{Name: "few-rows", Type: target.File, Ref: (&Blobs{}).Add(t, "late")}}
	t.Cleanup(func() { h.abandon(j.ID) })
	if err := h.Driver.Submit(t.Context(), h.Target, j, in); err == nil || !strings.Contains(err.Error(), "few-rows") {
		t.Fatalf("got %v, want an error that names the input", err)
	}
	if st := h.status(t, j.ID); st.State != target.Waiting && st.State != target.Lost {
		t.Errorf("got %+v", st)
	}
	in.Add(t, "late")
	h.succeed(t, j, in)
	if got := h.log(t, j.ID); got != "late" {
		t.Errorf("got %q", got)
	}
}

var threeOutputs = []target.Artifact{{Name: "one.file", Type: target.File}, {Name: "folder", Type: target.Folder}, {Name: "net", Type: target.Model}}

func outputsAreCollected(t *testing.T, h Harness) {
	j := h.job("outputs", `printf 42 >"$AMLFLOW_OUTPUT_ONE_FILE"
mkdir "$AMLFLOW_OUTPUT_FOLDER/sub"; echo deep >"$AMLFLOW_OUTPUT_FOLDER/sub/größe"
printf '#!/bin/sh\n' >"$AMLFLOW_OUTPUT_NET/run"; chmod +x "$AMLFLOW_OUTPUT_NET/run"
echo logged`)
	j.Outputs = threeOutputs
	h.succeed(t, j, nil)
	out := &Blobs{}
	r := h.collect(t, j.ID, out)
	if got := out.Text(r.Artifacts["one.file"]); got != "42" {
		t.Errorf("the file has %q", got)
	}
	if got := out.Text(r.Log); got != "logged\n" {
		t.Errorf("the log has %q", got)
	}
	for name, want := range map[string]map[string]string{"folder": {"sub/größe": "deep\n"}, "net": {"run": "#!/bin/sh\n"}} {
		if got := r.Artifacts[name]; got != tree(t, out, want, "run") {
			t.Errorf("%s is %s: %s", name, got, out.Text(got.Blob()))
		}
	}
	again := h.collect(t, j.ID, out)
	if !maps.Equal(again.Artifacts, r.Artifacts) || again.Log != r.Log {
		t.Errorf("collected again, it gave %+v, not %+v", again, r)
	}
}

func missingOutputsAreAbsent(t *testing.T, h Harness) {
	j := h.job("no-outputs", `rmdir "$AMLFLOW_OUTPUT_FOLDER"`)
	j.Outputs = threeOutputs
	h.succeed(t, j, nil)
	r := h.collect(t, j.ID, &Blobs{})
	if len(r.Artifacts) != 0 || r.Values != nil || len(r.Metrics) != 0 {
		t.Errorf("got %+v: a model that is an empty folder is missing, like what is not there", r)
	}
	j = h.job("file-model", `rmdir "$AMLFLOW_OUTPUT_NET"; printf weights >"$AMLFLOW_OUTPUT_NET"`)
	j.Outputs = threeOutputs
	h.succeed(t, j, nil)
	out := &Blobs{}
	if got := out.Text(h.collect(t, j.ID, out).Artifacts["net"]); got != "weights" {
		t.Errorf("a model that is a file has %q", got)
	}
}

func outputsOfTheWrongType(t *testing.T, h Harness) {
	for id, script := range map[string]string{
		"folder-for-file": `mkdir "$AMLFLOW_OUTPUT_ONE_FILE"`,
		"file-for-folder": `rmdir "$AMLFLOW_OUTPUT_FOLDER"; touch "$AMLFLOW_OUTPUT_FOLDER"`,
	} {
		j := h.job(id, script)
		j.Outputs = threeOutputs
		h.succeed(t, j, nil)
		if _, err := h.Driver.Collect(t.Context(), h.Target, id, &Blobs{}); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%s: got %v, want a permanent error", id, err)
		}
	}
}

func valuesAndMetrics(t *testing.T, h Harness) {
	h.succeed(t, h.job("values", `printf '{"n": 3}' >"$AMLFLOW_OUTPUTS"
for i in 1 2; do printf '{"loss": %s}\n' $i >>"$AMLFLOW_METRICS"; done`), nil)
	r := h.collect(t, "values", &Blobs{})
	if string(r.Values) != `{"n": 3}` || string(r.Metrics) != "{\"loss\": 1}\n{\"loss\": 2}\n" {
		t.Errorf("values %q, metrics %q", r.Values, r.Metrics)
	}
}

func failedJobIsCollected(t *testing.T, h Harness) {
	j := h.job("failed", `echo partial >"$AMLFLOW_OUTPUT_ONE_FILE"; echo sorry; exit 3`)
	j.Outputs = threeOutputs[:1]
	if st := h.run(t, j, nil); st.Exit != 3 {
		t.Fatalf("got %+v", st)
	}
	out := &Blobs{}
	if r := h.collect(t, j.ID, out); out.Text(r.Log) != "sorry\n" || out.Text(r.Artifacts["one.file"]) != "partial\n" {
		t.Errorf("got %+v", r)
	}
}

// A link would mean something else on the next machine, or reach what the job
// was not given.
func linksAreRefused(t *testing.T, h Harness) {
	for id, script := range map[string]string{
		"link-file":    `ln -s /etc/passwd "$AMLFLOW_OUTPUT_ONE_FILE"`,
		"link-inside":  `ln -s /etc/passwd "$AMLFLOW_OUTPUT_FOLDER/link"`,
		"link-folder":  `rmdir "$AMLFLOW_OUTPUT_FOLDER"; ln -s /etc "$AMLFLOW_OUTPUT_FOLDER"`,
		"link-values":  `echo '{}' >"$TMPDIR/values"; ln -s "$TMPDIR/values" "$AMLFLOW_OUTPUTS"`,
		"link-metrics": `echo '{"loss": 1}' >"$TMPDIR/metrics"; ln -s "$TMPDIR/metrics" "$AMLFLOW_METRICS"`,
		"pipe":         `mkfifo "$AMLFLOW_OUTPUT_ONE_FILE"`,
	} {
		j := h.job(id, script)
		j.Outputs = threeOutputs
		h.succeed(t, j, nil)
		if _, err := h.Driver.Collect(t.Context(), h.Target, id, &Blobs{}); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%s: got %v, want a permanent error", id, err)
		}
	}
}
