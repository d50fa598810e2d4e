package targettest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
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

// Torch returns a script with real processes of torch that add up their numbers, from 1
// on, and the code that it needs, or skips the test. Each prints "has SUM".
func Torch(t *testing.T, in *Blobs) (script string, code target.Ref) {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import torch.distributed as d; exit(not d.is_gloo_available())").Run() != nil {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte(reduce), 0o600); err != nil {
			t.Fatal(err)
		}
		code, err := target.PutTree(t.Context(), in, dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		return python + " train.py", code
	}
	t.Skip("SKIP: no python3 has torch: apt-get install -y python3-torch")
	return "", ""
}
