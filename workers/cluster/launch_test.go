package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func (r *rig) rankLog(id string, rank int) string {
	r.t.Helper()
	var log bytes.Buffer
	if _, err := r.d.Read(r.t.Context(), r.to, id, target.Stream{Name: target.Log, Rank: rank}, 0, &log); err != nil {
		r.t.Fatal(err)
	}
	return log.String()
}

func (r *rig) rankSays(id string, rank int, what string) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(r.rankLog(id, rank), what); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("rank %d never says %q, but %q; the job: %+v", rank, what, r.rankLog(id, rank), r.status(id))
		}
	}
}

// launched is a job of so many ranks on each of two nodes.
func (r *rig) launched(id, script string, kind target.LaunchKind, each int) target.Job {
	j := r.job(id, script, 2)
	j.Launch = &target.Launch{Kind: kind, Processes: each}
	return j
}

const waitsToBeTold = `trap 'echo told; exit 0' TERM; echo on; ` + forever

// One of two nodes is taken away: all four ranks are told, and the attempt after it has four
// again, on a node of before and on another.
func TestANodeOfALaunchedJobIsTakenAway(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 2}, "priority": "low"}`)
	r.d.shares = shares{free: func() float64 { return 1 }}
	r.submit(r.launched("first", waitsToBeTold, target.LaunchTorchrun, 2))
	for rank := range 4 {
		r.rankSays("first", rank, "on\n")
	}
	if err := os.RemoveAll(filepath.Join(r.d.place(r.to.Name).nodes(), "n2")); err != nil {
		t.Fatal(err)
	}
	r.becomes("a node that is free", func(f target.Fleet) bool { return f.Busy == 0 })
	if st := r.status("first"); st.State != target.Failed || st.Cause != target.CausePreempted {
		t.Errorf("got %+v", st)
	}
	for rank := range 4 {
		if got := r.rankLog("first", rank); !strings.HasSuffix(got, "told\n") {
			t.Errorf("rank %d wrote %q", rank, got)
		}
	}
	r.submit(r.launched("second", `echo "$RANK of $WORLD_SIZE on $NODE_RANK"`, target.LaunchTorchrun, 2))
	r.until("second", target.Succeeded)
	for rank := range 4 {
		if got, want := r.rankLog("second", rank), fmt.Sprintf("%d of 4 on %d\n", rank, rank/2); got != want {
			t.Errorf("rank %d wrote %q, want %q", rank, got, want)
		}
	}
	if left, _ := r.d.place(r.to.Name).made(); len(left) != 2 || left[1] != "n3" {
		t.Errorf("the nodes are %q", left)
	}
}

// Slurm takes the allocation of the second node back: its ranks end for that reason, and the
// others with them. So does what mpirun has begun there, which amlflow does not see.
func TestALentNodeOfALaunchedJobIsTakenAway(t *testing.T) {
	t.Parallel()
	s := startSlurm(t, 2)
	r := s.on(t.TempDir(), `"nodes": {"max": 2}, "node": {"cpus": 4}`, nil)
	for kind, ranks := range map[target.LaunchKind]int{target.LaunchTorchrun: 4, target.LaunchMPI: 1} {
		id := "by-" + string(kind)
		r.submit(r.launched(id, waitsToBeTold, kind, 2))
		for rank := range ranks {
			r.rankSays(id, rank, "on\n")
		}
		st, err := r.d.place(r.to.Name).read()
		s.check(err)
		hold, err := r.d.place(r.to.Name).hostOf(st.Cluster.Find(id).On[1])
		s.check(err)
		s.Ask("scancel", "--name="+hold)
		if st := r.ends(id); st.State != target.Failed || st.Cause != target.CausePreempted || !strings.Contains(st.Reason, "was cancelled in Slurm") {
			t.Errorf("%s: got %+v", id, st)
		}
		for rank := range ranks {
			if got := r.rankLog(id, rank); strings.Count(got, "told\n") != 1 {
				t.Errorf("%s: rank %d wrote %q", id, rank, got)
			}
		}
	}
}

// A real mpirun starts its processes on nodes that Slurm lends one by one: it does not take
// the one that it finds itself on for all there is.
func TestMpirunOnLentNodes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("SKIP: there is no mpirun: apt-get install -y openmpi-bin")
	}
	s := startSlurm(t, 2)
	r := s.on(t.TempDir(), `"nodes": {"max": 2}, "node": {"cpus": 4}`, nil)
	r.submit(r.launched("mpi", `export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun -np $WORLD_SIZE sh -c 'echo process $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE'
`, target.LaunchMPI, 2))
	r.until("mpi", target.Succeeded)
	for rank := range 4 {
		if want := fmt.Sprintf("process %d of 4\n", rank); !strings.Contains(r.log("mpi"), want) {
			t.Errorf("log %q, without %q", r.log("mpi"), want)
		}
	}
}

// A real torch.distributed trains over two nodes, whoever lends them.
func TestTorchOnNodesOfEveryProvider(t *testing.T) {
	t.Parallel()
	for name, lend := range map[string]func(t *testing.T) *rig{
		providerLocal: func(t *testing.T) *rig { return newRig(t, `{"nodes": {"max": 2}}`) },
		providerSSH:   func(t *testing.T) *rig { return over(t, servers(t, 2), `{"max": 2}`) },
		providerSlurm: func(t *testing.T) *rig { return startSlurm(t, 2).on(t.TempDir(), `"nodes": {"max": 2}`, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			in := &targettest.Blobs{}
			script, code := targettest.Torch(t, in)
			r := lend(t)
			j := r.launched("job", script, target.LaunchTorchrun, 1)
			j.Code = code
			if err := r.d.Submit(t.Context(), r.to, j, in); err != nil {
				t.Fatal(err)
			}
			if st := r.ends("job"); st.State != target.Succeeded {
				t.Fatalf("%+v, log %q", st, r.rankLog("job", st.Rank))
			}
			for rank := range 2 {
				if got, want := r.rankLog("job", rank), fmt.Sprintf("rank %d of 2 has 3, launched by torchrun: True", rank); !strings.Contains(got, want) {
					t.Errorf("rank %d printed %q, without %q", rank, got, want)
				}
			}
		})
	}
}
