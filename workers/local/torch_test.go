package local

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// reduce is what a training script begins with, and one step of it: it is told nothing
// but what the launch has set.
const reduce = `import torch, torch.distributed as dist
dist.init_process_group("gloo")
mine = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(mine)
print("rank %d of %d has %d, launched by torchrun: %s" % (dist.get_rank(), dist.get_world_size(), int(mine), dist.is_torchelastic_launched()))
dist.destroy_process_group()
`

// pythonWithTorch returns the interpreter that has torch, or skips the test.
func pythonWithTorch(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import torch.distributed as d; exit(not d.is_gloo_available())").Run() == nil {
			return python
		}
	}
	t.Skip("SKIP: no python3 has torch: apt-get install -y python3-torch")
	return ""
}

// A real torch.distributed finds its group in what torchrun would have set.
func TestTorch(t *testing.T) {
	python, d := pythonWithTorch(t), driver(t)
	in := &targettest.Blobs{}
	code := t.TempDir()
	if err := os.WriteFile(code+"/train.py", []byte(reduce), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := target.PutTree(t.Context(), in, code, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := target.Job{ID: "job", Script: python + " train.py", Host: host(), Code: ref, Needs: target.Resources{Nodes: 2}, Launch: &target.Launch{Kind: target.LaunchTorchrun, Processes: 2}}
	if err := d.Submit(t.Context(), local(`{"nodes": 2}`), j, in); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.State != target.Succeeded {
		t.Fatalf("%+v, log %q", st, log(t, d, st.Rank))
	}
	for rank := range 4 {
		if got, want := log(t, d, rank), "has 10, launched by torchrun: True"; !strings.Contains(got, want) {
			t.Errorf("rank %d printed %q, without %q", rank, got, want)
		}
	}
}
