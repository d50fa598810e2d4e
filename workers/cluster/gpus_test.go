package cluster

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// Each node has devices of its own, and a job sees as many of them as it asks for.
func TestNodesHaveGPUs(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 2}, "node": {"gpus": 2}, "provider": {"kind": "local", "gpus": [1, 3, 5, "GPU-7"]}}`)
	seen := func(id string, rank int) string {
		t.Helper()
		r.until(id, target.Succeeded)
		var log bytes.Buffer
		if _, err := r.d.Read(t.Context(), r.to, id, target.Stream{Name: target.Log, Rank: rank}, 0, &log); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(log.String())
	}
	const show = `echo "$CUDA_VISIBLE_DEVICES"`
	pair := r.job("pair", show, 2)
	pair.Needs.GPUs = 2
	r.submit(pair)
	both := []string{seen("pair", 0), seen("pair", 1)}
	if slices.Sort(both); !slices.Equal(both, []string{"1,3", "5,GPU-7"}) {
		t.Errorf("two ranks see %q", both)
	}
	one := r.job("one", show, 1)
	one.Needs.GPUs = 1
	r.submit(one)
	if got := seen("one", 0); got != "1" && got != "5" {
		t.Errorf("a job of one GPU sees %q", got)
	}
	r.submit(r.job("none", show, 1))
	if got := seen("none", 0); got != "" {
		t.Errorf("a job of no GPU sees %q", got)
	}
	wide := r.job("wide", show, 1)
	wide.Needs.GPUs = 3
	if err := r.d.Submit(t.Context(), r.to, wide, &targettest.Blobs{}); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "has 2 GPUs, the job asks for 3") {
		t.Errorf("got %v", err)
	}
}

// Settings about GPUs that do not fit together are found in the file.
func TestGPUsThatDoNotFit(t *testing.T) {
	for settings, path := range map[string]string{
		`{"nodes": {"max": 2}, "node": {"gpus": 2}, "provider": {"kind": "local", "gpus": [0, 1, 2]}}`:         "provider/gpus",
		`{"nodes": {"max": 2}, "provider": {"kind": "local", "gpus": [0, 1, 2]}}`:                              "provider/gpus",
		`{"nodes": {"max": 1}, "node": {"gpus": 2}, "provider": {"kind": "ssh", "hosts": ["a"], "gpus": [0]}}`: "provider/gpus",
		`{"nodes": {"max": 1}, "provider": {"kind": "slurm"}}`:                                                 "provider",
		`{"nodes": {"max": 1}, "provider": {"kind": "slurm", "shared_dir": "/x", "hosts": ["a"]}}`:             "provider/hosts",
		`{"nodes": {"max": 1}, "provider": {"kind": "local", "partition": "gpu"}}`:                             "provider/partition",
	} {
		var misfit target.Misfit
		if err := New(t.TempDir(), nil).Judge(training(settings)); !errors.As(err, &misfit) || misfit.Path != path {
			t.Errorf("%s: got %v", settings, err)
		}
	}
}
