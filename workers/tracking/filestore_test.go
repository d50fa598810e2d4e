package tracking_test

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
	"github.com/amlflow/amlflow/workers/tracking"
)

// What the client's file store looks like, with what a kill and a hostile job leave in it.
func TestKeepStore(t *testing.T) {
	files := map[string]string{
		"7/meta.yaml":                     "artifact_location: file:///x\nexperiment_id: '7'\nname: \"trial: \\xFCber\"\n",
		"7/a1/meta.yaml":                  "end_time: 5\nlifecycle_stage: active\nrun_name: 'it''s a name that goes on\n  here'\nstart_time: 1\nstatus: 4\ntags: []\n",
		"7/a1/params/opt/kind":            "adam",
		"7/a1/metrics/loss":               "3 0.5 0\n4 nan 1\n9 0.25 2\n9 0.25 2\n10 0.1", // the last line was cut off
		"7/a1/artifacts/docs/a.txt":       "hello",
		"7/b2/meta.yaml":                  "lifecycle_stage: active\nstart_time: 2\nstatus: 1\n",
		"7/b2/tags/mlflow.parentRunId":    "a1",
		"7/b2/tags/mlflow.runName":        "part",
		"7/b2/metrics/loss":               "3 9 0\n",
		"7/c3/meta.yaml":                  "lifecycle_stage: deleted\n",
		"7/c3/artifacts/gone.txt":         "x",
		"7/models/m-1/meta.yaml":          "name: model\nsource_run_id: a1\n",
		"7/models/m-1/artifacts/MLmodel":  "flavors: {}\n",
		"models/best/version-2/meta.yaml": "name: best\nsource: models:/m-1\nversion: '2'\n",
		"../../etc/passwd":                "root",
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: "./" + name, Size: int64(len(files[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, files[name])
	}
	_ = w.WriteHeader(&tar.Header{Name: "7/a1/artifacts/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})
	w.Close()
	out := &targettest.Blobs{}
	// The job was told of the first, and of one of the two that are the same.
	reported := `{"mine":1}` + "\n" + `{"loss":0.5,"step":0,"mlflow":{"run":"a1","time":3}}` + "\n" + `{"loss":0.25,"step":2,"mlflow":{"run":"a1","time":9}}` + "\n"
	ref, more, err := tracking.KeepStore(t.Context(), tar.NewReader(&b), []byte(reported), out)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"loss":NaN,"step":1,"mlflow":{"run":"a1","time":4}}` + "\n" + `{"loss":0.25,"step":2,"mlflow":{"run":"a1","time":9}}` + "\n"
	if string(more) != want {
		t.Errorf("more is\n%swant\n%s", more, want)
	}
	list, err := target.ListTree(t.Context(), out, ref)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Path)
		if e.Path == tracking.RunsFile {
			text := out.Text(e.Ref)
			for _, part := range []string{`"name": "it's a name that goes on here"`, `"status": "FAILED"`, `"experiment": "trial: über"`, `"opt/kind": "adam"`, `"loss": 0.25`, `"parent": "a1"`, `"name": "part"`, `"status": "RUNNING"`, `"source": "models:/m-1"`, `"run": "a1"`} {
				if !strings.Contains(text, part) {
					t.Errorf("no %s in\n%s", part, text)
				}
			}
			if strings.Contains(text, "c3") {
				t.Errorf("a deleted run is there:\n%s", text)
			}
		}
	}
	if got := strings.Join(names, " "); got != "models/m-1/MLmodel runs.json runs/a1/docs/a.txt" {
		t.Errorf("kept are %s", got)
	}
}

func TestKeepStoreOfNothing(t *testing.T) {
	var b bytes.Buffer
	tar.NewWriter(&b).Close()
	if ref, more, err := tracking.KeepStore(t.Context(), tar.NewReader(&b), nil, &targettest.Blobs{}); ref != "" || more != nil || err != nil {
		t.Error(ref, more, err)
	}
}
