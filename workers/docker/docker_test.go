package docker

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/api/types/container"
)

func containerOf(image string, command ...string) *container.Config {
	return &container.Config{Image: image, Entrypoint: command, Cmd: []string{}}
}

func TestExamOnPodman(t *testing.T) { exam(t, onPodman(t)) }

func TestExamOnDocker(t *testing.T) { exam(t, onDocker(t)) }

func exam(t *testing.T, r rig) {
	targettest.Run(t, func(t *testing.T) targettest.Harness {
		shared := t.TempDir()
		t.Cleanup(func() { r.wipe(t) })
		return targettest.Harness{
			Driver: Driver{Dir: t.TempDir()},
			Target: r.target(t, map[string]any{"nodes": 2, "volumes": []string{shared + ":" + shared + ":rw"}}),
			Host:   map[string]string{"PATH": "/nowhere"},
			Shared: shared,
			Folder: r.root,
			Image:  examImage,
		}
	})
}

// A program in Python finds its inputs and reports, and its output is followed while it
// runs.
func TestPython(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r.withPython(t), map[string]any{"image": pythonImage})
		in := &targettest.Blobs{}
		code, err := target.PutTree(t.Context(), in, folderOf(t, "train.py", `import json, os, sys, tempfile, time
data = open(os.environ["AMLFLOW_INPUT_DATA"]).read()
print("on", data, os.path.expanduser("~"), tempfile.gettempdir())
open(os.environ["AMLFLOW_METRICS"], "a").write(json.dumps({"loss": 0.5}) + "\n")
json.dump({"n": len(data)}, open(os.environ["AMLFLOW_OUTPUTS"], "w"))
time.sleep(60)
`), nil)
		if err != nil {
			t.Fatal(err)
		}
		x.submit(target.Job{ID: "python", Command: []string{"python3", "train.py"}, Code: code, Inputs: []target.Artifact{{Name: "data", Type: target.File, Ref: in.Add(t, "größe")}}, Grace: time.Second}, in)
		x.logHas("python", "on größe /amlflow/home /amlflow/tmp\n")
		x.cancel("python")
		if st := x.wait("python"); st.State != target.Cancelled || st.Signal != 15 {
			t.Errorf("got %+v, log %q", st, x.log("python"))
		}
		res, err := x.d.Collect(t.Context(), x.t, "python", in)
		if err != nil || string(res.Values) != `{"n": 5}` || string(res.Metrics) != "{\"loss\": 0.5}\n" {
			t.Errorf("collected %+v, %v", res, err)
		}
	})
}
