package local

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func TestRanksShareTheirNode(t *testing.T) {
	for name, c := range map[string]struct {
		launch *target.Launch
		want   target.Resources
	}{
		"one rank":           {nil, target.Resources{Nodes: 2, CPUs: 3, Memory: 300}},
		"three ranks":        {&target.Launch{Kind: target.LaunchEnv, Processes: 3}, target.Resources{Nodes: 2, CPUs: 1, Memory: 100}},
		"mpirun starts them": {&target.Launch{Kind: target.LaunchMPI, Processes: 3}, target.Resources{Nodes: 2, CPUs: 3, Memory: 300}},
	} {
		needs := target.Resources{Nodes: 2, CPUs: 3, Memory: 300}
		if got := (record{Job: target.Job{Needs: needs, Launch: c.launch}, Needs: needs}).share(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTooManyRanksAreRefused(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	j := target.Job{ID: "many", Script: "true", Launch: &target.Launch{Kind: target.LaunchEnv, Processes: mostRanks + 1}}
	err := d.Submit(t.Context(), local(""), j, &targettest.Blobs{})
	if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "1025 ranks") {
		t.Errorf("got %v", err)
	}
}

// A real mpirun finds the host file by itself, and starts as many ranks as it says.
func TestMPI(t *testing.T) {
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("SKIP: mpirun is not installed: apt-get install -y openmpi-bin")
	}
	d, id := Driver{Dir: t.TempDir()}, "mpi"
	j := target.Job{
		ID: id, Script: `mpirun -np "$WORLD_SIZE" sh -c 'echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE'`, Host: host(),
		Env:    map[string]string{"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
		Launch: &target.Launch{Kind: target.LaunchMPI, Processes: 2}, Needs: target.Resources{Nodes: 2},
	}
	if err := d.Submit(t.Context(), local(`{"nodes": 2}`), j, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	st := waitFor(t, d, id)
	var log strings.Builder
	if _, err := d.Read(t.Context(), local(""), id, target.Stream{Name: target.Log}, 0, &log); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	slices.Sort(lines)
	if got := strings.Join(lines, ", "); st.State != target.Succeeded || got != "0 of 4, 1 of 4, 2 of 4, 3 of 4" {
		t.Errorf("%+v printed %q", st, got)
	}
}
