package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Jobs that ask for some of a node's GPUs are on one node at once, each with its own, whoever
// lends it. One that wants more than is left waits and says so; what comes free is had again.
func TestJobsShareTheGPUsOfANode(t *testing.T) {
	t.Parallel()
	for name, lend := range map[string]func(t *testing.T) (r *rig, names []string){
		providerLocal: func(t *testing.T) (*rig, []string) {
			return newRig(t, `{"nodes": {"max": 1}, "node": {"gpus": 4, "cpus": 4}, "provider": {"kind": "local", "gpus": [2, 4, 6, "GPU-8"]}}`), []string{"2", "4", "6", "GPU-8"}
		},
		providerSSH: func(t *testing.T) (*rig, []string) {
			r := over(t, servers(t, 1), `{"max": 1}, "node": {"gpus": 4}`)
			return r, []string{"0", "1", "2", "3"}
		},
		providerSlurm: func(t *testing.T) (*rig, []string) {
			return startSlurm(t, 1).on(t.TempDir(), `"nodes": {"max": 1}, "node": {"cpus": 4, "gpus": 2}`, nil), []string{"0", "1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, names := lend(t)
			half := len(names) / 2
			gate := filepath.Join(t.TempDir(), "gate")
			begin := func(id string, gpus int, first bool) {
				t.Helper()
				j := r.job(id, `echo "sees $CUDA_VISIBLE_DEVICES"; until [ -e `+gate+id+" ]; do sleep 0.02; done", 1)
				j.Needs.GPUs = gpus
				if first {
					j.Launch = &target.Launch{Kind: target.LaunchTorchrun, Processes: gpus}
				}
				r.submit(j)
			}
			begin("one", half, true)
			begin("other", half, false)
			r.rankSays("one", half-1, "sees "+strings.Join(names[:half], ",")+"\n")
			r.rankSays("other", 0, "sees "+strings.Join(names[half:], ",")+"\n")
			if f := r.fleet(); f.Busy != 1 || f.Ready != 1 {
				t.Errorf("got %+v", f)
			}
			begin("next", half, false)
			if st, want := r.status("next"), fmt.Sprintf("waiting for %d of the %d GPUs of a node; of at most 1 nodes 1 are busy", half, len(names)); st.State != target.Waiting || !strings.Contains(st.Reason, want) {
				t.Errorf("got %+v, want %q", st, want)
			}
			// One of them is preempted: the node stays for the other, and for the next.
			r.cancel("one", target.CausePreempted)
			if st := r.ends("one"); st.Cause != target.CausePreempted {
				t.Errorf("got %+v", st)
			}
			r.rankSays("next", 0, "sees "+strings.Join(names[:half], ",")+"\n")
			for _, id := range []string{"other", "next"} {
				if st := r.status(id); st.State != target.Running {
					t.Errorf("job %s: %+v", id, st)
				}
				if err := os.WriteFile(gate+id, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				r.until(id, target.Succeeded)
			}
			if made, err := r.d.place(r.to.Name).made(); err != nil || !slices.Equal(made, []string{"n1"}) {
				t.Errorf("there were the nodes %q, %v", made, err)
			}
		})
	}
}
