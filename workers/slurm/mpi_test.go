package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
)

// A real mpirun has Slurm start its processes on all nodes of the job, and their files are
// on the disk that all share.
func TestMpirunOnSlurm(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("SKIP: there is no mpirun: apt-get install -y openmpi-bin")
	}
	r := startSlurm(t, rigs.SlurmOptions{})
	w := r.ward(t, nil)
	here := t.TempDir()
	j := job("mpi", `export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun -np $WORLD_SIZE -x HERE sh -c 'echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on $SLURMD_NODENAME >"$HERE/$OMPI_COMM_WORLD_RANK"'
`)
	j.Needs.Nodes, j.Env = 2, map[string]string{"HERE": here}
	j.Launch = &target.Launch{Kind: target.LaunchMPI, Processes: 2}
	w.submit(t, j)
	if st := w.ends(t, "mpi"); st.State != target.Succeeded {
		t.Fatalf("got %+v, log:\n%s", st, w.log(t, "mpi"))
	}
	var got []string
	files, _ := filepath.Glob(filepath.Join(here, "*"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(string(text)))
	}
	slices.Sort(got)
	if want := []string{"0 of 4 on n1", "1 of 4 on n1", "2 of 4 on n2", "3 of 4 on n2"}; !slices.Equal(got, want) {
		t.Errorf("the processes were %q, want %q; log:\n%s", got, want, w.log(t, "mpi"))
	}
}
