package targettest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var rankQuestions = []question{
	{"OneRankIsAWorld", oneRankIsAWorld},
	{"RanksKnowEachOther", ranksKnowEachOther},
	{"RanksHaveTheirOwnFolder", ranksHaveTheirOwnFolder},
	{"LogsOfAllRanksAreKept", logsOfAllRanksAreKept},
	{"OneRankFailsAll", oneRankFailsAll},
	{"CancelStopsAllRanks", cancelStopsAllRanks},
}

const world = `echo $RANK $LOCAL_RANK $NODE_RANK $WORLD_SIZE $MASTER_ADDR:$MASTER_PORT
`

// pair returns a job of two ranks, or skips the test.
func (h Harness) pair(t *testing.T, id, script string) target.Job {
	t.Helper()
	if n := h.Driver.Can(h.Target).Nodes; n < 2 {
		t.Skipf("SKIP: the target has %d node", n)
	}
	j := h.job(id, script)
	j.Needs.Nodes = 2
	return j
}

func (h Harness) rankLog(t *testing.T, id string, rank int) string {
	t.Helper()
	text, _ := h.read(t, id, target.Stream{Name: target.Log, Rank: rank}, 0)
	return text
}

func oneRankIsAWorld(t *testing.T, h Harness) {
	h.succeed(t, h.job("alone", world), nil)
	if got := h.log(t, "alone"); !strings.HasPrefix(got, "0 0 0 1 ") {
		t.Errorf("got %q", got)
	}
}

func ranksKnowEachOther(t *testing.T, h Harness) {
	j := h.pair(t, "world", world)
	h.succeed(t, j, nil)
	var master string
	for rank := range 2 {
		f := strings.Fields(h.rankLog(t, j.ID, rank))
		want := fmt.Sprintf("%d 0 %d 2", rank, rank)
		if len(f) != 5 || strings.Join(f[:4], " ") != want {
			t.Fatalf("rank %d saw %q, want %q", rank, f, want)
		}
		_, port, _ := strings.Cut(f[4], ":")
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || rank == 1 && f[4] != master {
			t.Errorf("rank %d was told the master is at %q, rank 0 at %q", rank, f[4], master)
		}
		master = f[4]
	}
}

func ranksHaveTheirOwnFolder(t *testing.T, h Harness) {
	in := &Blobs{}
	j := h.pair(t, "folders", `cat file; echo $RANK >file; sleep 0.2; cat file
echo $RANK >"$AMLFLOW_OUTPUT_OUT"; echo "{\"rank\":$RANK}" >"$AMLFLOW_OUTPUTS"; echo "{\"rank\":$RANK}" >>"$AMLFLOW_METRICS"`)
	j.Code = tree(t, in, map[string]string{"file": "text\n"})
	j.Outputs = []target.Artifact{{Name: "out", Type: target.File}}
	h.succeed(t, j, in)
	for rank := range 2 {
		if got, want := h.rankLog(t, j.ID, rank), fmt.Sprintf("text\n%d\n", rank); got != want {
			t.Errorf("rank %d saw %q, want %q", rank, got, want)
		}
	}
	out := &Blobs{}
	r := h.collect(t, j.ID, out)
	if got := out.Text(r.Artifacts["out"]) + string(r.Values) + string(r.Metrics); got != "0\n{\"rank\":0}\n{\"rank\":0}\n" {
		t.Errorf("collected %q", got)
	}
}

func logsOfAllRanksAreKept(t *testing.T, h Harness) {
	j := h.pair(t, "logs", "echo rank $RANK")
	h.succeed(t, j, nil)
	out := &LogBlobs{}
	logs := h.collect(t, j.ID, out).Logs
	if logs == "" {
		t.Skip("SKIP: the target keeps only the log of the rank that decided")
	}
	files, err := target.ListTree(t.Context(), out, logs)
	if err != nil || len(files) != 2 {
		t.Fatalf("the logs are %+v, %v", files, err)
	}
	for rank, f := range files {
		if got, want := out.Text(f.Ref), fmt.Sprintf("log: rank %d\n", rank); f.Path != strconv.Itoa(rank) || got != want {
			t.Errorf("under %q there is %q, want %q under %d", f.Path, got, want, rank)
		}
	}
}

func oneRankFailsAll(t *testing.T, h Harness) {
	j := h.pair(t, "one-fails", `echo rank $RANK; [ $RANK = 0 ] || exit 5; sleep 300`)
	st := h.run(t, j, nil)
	if st.State != target.Failed || st.Cause != target.CauseExit || st.Exit != 5 || st.Rank != 1 || !strings.Contains(st.Reason, "rank 1") {
		t.Errorf("got %+v", st)
	}
	out := &Blobs{}
	if got := out.Text(h.collect(t, j.ID, out).Log); got != "rank 1\n" {
		t.Errorf("the log is %q, not that of the rank that failed", got)
	}
}

func cancelStopsAllRanks(t *testing.T, h Harness) {
	j := h.pair(t, "cancel-all", "echo on; sleep 300")
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	h.cancel(t, j.ID)
	if st := h.wait(t, j.ID); st.State != target.Cancelled {
		t.Errorf("got %+v", st)
	}
}
