package local

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// A real torch.distributed finds its group in what torchrun would have set.
func TestTorch(t *testing.T) {
	in, d := &targettest.Blobs{}, driver(t)
	script, code := targettest.Torch(t, in)
	j := target.Job{ID: "job", Script: script, Host: host(), Code: code, Needs: target.Resources{Nodes: 2}, Launch: &target.Launch{Kind: target.LaunchTorchrun, Processes: 2}}
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
