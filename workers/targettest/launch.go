package targettest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var launchQuestions = []question{
	{"LaunchedRanksKnowEachOther", launchedRanksKnowEachOther},
	{"LaunchedRanksHaveTheirOwnFolder", launchedRanksHaveTheirOwnFolder},
	{"TorchFindsWhatTorchrunSets", torchFindsWhatTorchrunSets},
	{"TensorFlowFindsItsWorkers", tensorFlowFindsItsWorkers},
	{"MPIFindsAHostFile", mpiFindsAHostFile},
	{"OneLaunchedRankFailsAll", oneLaunchedRankFailsAll},
}

// launched returns a job of two ranks on each of two nodes, or of one when the target
// has no more; or it skips the test.
func (h Harness) launched(t *testing.T, id string, kind target.LaunchKind, script string) (j target.Job, nodes int) {
	t.Helper()
	can := h.Driver.Can(h.Target)
	if !can.Launch {
		t.Skip("SKIP: the target launches nothing")
	}
	j = h.job(id, script)
	j.Needs.Nodes = min(can.Nodes, 2)
	j.Launch = &target.Launch{Kind: kind, Processes: 2}
	return j, j.Needs.Nodes
}

func launchedRanksKnowEachOther(t *testing.T, h Harness) {
	j, nodes := h.launched(t, "launched", target.LaunchEnv, `echo $RANK $LOCAL_RANK $NODE_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR:$MASTER_PORT $TF_CONFIG$TORCHELASTIC_RUN_ID$AMLFLOW_HOSTFILE
`)
	h.succeed(t, j, nil)
	var masters []string
	for rank := range 2 * nodes {
		f := strings.Fields(h.rankLog(t, j.ID, rank))
		want := fmt.Sprintf("%d %d %d %d 2", rank, rank%2, rank/2, 2*nodes)
		if len(f) != 6 || strings.Join(f[:5], " ") != want {
			t.Fatalf("rank %d saw %q, want %q and an address", rank, f, want)
		}
		masters = append(masters, f[5])
	}
	if len(slices.Compact(masters)) != 1 {
		t.Errorf("the ranks were told different masters: %q", masters)
	}
}

func launchedRanksHaveTheirOwnFolder(t *testing.T, h Harness) {
	in := &Blobs{}
	j, nodes := h.launched(t, "launched-folders", target.LaunchEnv, `echo $RANK >>mine; cat file mine; echo $RANK >"$AMLFLOW_OUTPUT_OUT"`)
	j.Code = tree(t, in, map[string]string{"file": "text\n"})
	j.Outputs = []target.Artifact{{Name: "out", Type: target.File}}
	h.succeed(t, j, in)
	for rank := range 2 * nodes {
		if got, want := h.rankLog(t, j.ID, rank), fmt.Sprintf("text\n%d\n", rank); got != want {
			t.Errorf("rank %d saw %q, want %q", rank, got, want)
		}
	}
	out := &Blobs{}
	if got := out.Text(h.collect(t, j.ID, out).Artifacts["out"]); got != "0\n" {
		t.Errorf("collected %q, not what rank 0 left", got)
	}
}

func torchFindsWhatTorchrunSets(t *testing.T, h Harness) {
	j, nodes := h.launched(t, "torchrun", target.LaunchTorchrun, `echo $RANK $WORLD_SIZE $GROUP_RANK $GROUP_WORLD_SIZE $ROLE_RANK $ROLE_WORLD_SIZE $TORCHELASTIC_RUN_ID $TORCHELASTIC_RESTART_COUNT $TORCHELASTIC_USE_AGENT_STORE $OMP_NUM_THREADS`)
	h.succeed(t, j, nil)
	for rank := range 2 * nodes {
		want := fmt.Sprintf("%d %d %d %d %d %d torchrun 0 False 1\n", rank, 2*nodes, rank/2, nodes, rank, 2*nodes)
		if got := h.rankLog(t, j.ID, rank); got != want {
			t.Errorf("rank %d saw %q, want %q", rank, got, want)
		}
	}
}

func tensorFlowFindsItsWorkers(t *testing.T, h Harness) {
	j, nodes := h.launched(t, "tf", target.LaunchTF, `echo "$TF_CONFIG"`)
	h.succeed(t, j, nil)
	for rank := range 2 * nodes {
		var seen struct {
			Cluster struct{ Worker []string }
			Task    struct {
				Type  string
				Index int
			}
		}
		text := h.rankLog(t, j.ID, rank)
		if err := json.Unmarshal([]byte(text), &seen); err != nil {
			t.Fatalf("rank %d saw %q: %v", rank, text, err)
		}
		if seen.Task.Type != "worker" || seen.Task.Index != rank {
			t.Errorf("rank %d is told that it is %+v", rank, seen.Task)
		}
		slices.Sort(seen.Cluster.Worker)
		if all := slices.Compact(seen.Cluster.Worker); len(all) != 2*nodes {
			t.Errorf("%d ranks have the addresses %q", 2*nodes, all)
		}
	}
}

func mpiFindsAHostFile(t *testing.T, h Harness) {
	j, nodes := h.launched(t, "mpi", target.LaunchMPI, `echo $RANK $WORLD_SIZE; cat "$AMLFLOW_HOSTFILE"; [ "$OMPI_MCA_orte_default_hostfile" = "$AMLFLOW_HOSTFILE" ]; [ "$PRTE_MCA_prte_default_hostfile" = "$AMLFLOW_HOSTFILE" ]`)
	h.succeed(t, j, nil)
	lines := strings.Split(strings.TrimSpace(h.log(t, j.ID)), "\n")
	if want := fmt.Sprintf("0 %d", 2*nodes); lines[0] != want {
		t.Errorf("mpirun's shell saw %q, want %q", lines[0], want)
	}
	slots := 0
	for _, line := range lines[1:] {
		_, n, _ := strings.Cut(line, " slots=")
		one, err := strconv.Atoi(n)
		if err != nil {
			t.Errorf("the host file has the line %q", line)
		}
		slots += one
	}
	if slots != 2*nodes {
		t.Errorf("the host file has %d slots, want %d: %q", slots, 2*nodes, lines[1:])
	}
	if got := h.rankLog(t, j.ID, 1); got != "" {
		t.Errorf("another process was started, and wrote %q", got)
	}
}

func oneLaunchedRankFailsAll(t *testing.T, h Harness) {
	j, _ := h.launched(t, "launched-fails", target.LaunchEnv, `echo rank $RANK; [ $RANK != 1 ] || exit 5; sleep 300`)
	st := h.run(t, j, nil)
	if st.State != target.Failed || st.Cause != target.CauseExit || st.Exit != 5 || st.Rank != 1 || !strings.Contains(st.Reason, "rank 1") {
		t.Errorf("got %+v", st)
	}
	out := &Blobs{}
	if got := out.Text(h.collect(t, j.ID, out).Log); got != "rank 1\n" {
		t.Errorf("the log is %q, not that of the rank that failed", got)
	}
}
