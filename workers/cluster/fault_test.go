package cluster

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// The test binary is also the worker that gets killed: it submits jobs and follows them
// to their ends, or dies at the step in workerStep when it comes there for the nth time.
const workerDir, workerStep, workerSettings = "CLUSTER_TEST_DIR", "CLUSTER_TEST_STEP", "CLUSTER_TEST_SETTINGS"

func TestMain(m *testing.M) {
	if os.Getenv(workerDir) == "" {
		os.Exit(m.Run())
	}
	step = func(name string) {
		if name == os.Getenv(workerStep) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := work(os.Getenv(workerDir)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

const faulty = `{"nodes": {"min": 1, "max": 3, "idle": "20ms"}, "node": {"gpus": 2}}`

// sizes are the nodes of the jobs that workers submit.
var sizes = []int{1, 2, 1, 3, 1, 1, 2, 1}

func work(dir string) error {
	ctx, d, to := context.Background(), New(filepath.Join(dir, "state"), nil), training(cmp.Or(os.Getenv(workerSettings), faulty))
	for i, nodes := range sizes {
		j := worker(dir, i, nodes)
		if os.Getenv(workerSettings) == "" {
			j.Needs.GPUs = min(nodes, 2) // those of one node share it
		}
		if err := d.Submit(ctx, to, j, &targettest.Blobs{}); err != nil {
			return err
		}
	}
	for i := range sizes {
		for {
			st, err := d.Status(ctx, to, id(i))
			if err != nil {
				return err
			}
			if st.State.Ended() {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}

func id(i int) string { return fmt.Sprintf("job-%d", i) }

// worker is a job that notes its starts, and GPUs that another has at the same time. Every
// second one has two ranks on each node.
func worker(dir string, i, nodes int) target.Job {
	script := fmt.Sprintf(`echo x >>%[1]s/starts.%[2]s.$RANK
[ $LOCAL_RANK = 0 ] || CUDA_VISIBLE_DEVICES= # all on one node see the same
for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , ' '); do mkdir %[1]s/gpu.$d || echo %[2]s $d >>%[1]s/twice; done
ls -d %[1]s/gpu.* 2>/dev/null | wc -l >>%[1]s/together; sleep 0.1
for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , ' '); do rmdir %[1]s/gpu.$d; done`, dir, id(i))
	j := target.Job{ID: id(i), Script: script, Host: host(), Needs: target.Resources{Nodes: nodes}, Grace: time.Second}
	if each := ranksOf(i, 1); each > 1 {
		j.Launch = &target.Launch{Kind: target.LaunchTorchrun, Processes: each}
	}
	return j
}

func ranksOf(i, nodes int) int { return nodes * (1 + i%2) }

func start(t *testing.T, dir, at string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), workerDir+"="+dir, workerStep+"="+at)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// whole wants that every job has run once on all of its nodes, with GPUs that nobody else had,
// and that nothing is left but the fewest nodes.
func whole(t *testing.T, dir string) {
	t.Helper()
	d, to := New(filepath.Join(dir, "state"), nil), training(faulty)
	for i, nodes := range sizes {
		st, err := d.Status(t.Context(), to, id(i))
		if err != nil || st.State != target.Succeeded {
			t.Errorf("%s: %+v, %v", id(i), st, err)
		}
		for rank := range ranksOf(i, nodes) {
			if text, _ := os.ReadFile(fmt.Sprintf("%s/starts.%s.%d", dir, id(i), rank)); string(text) != "x\n" {
				t.Errorf("rank %d of %s started %d times", rank, id(i), strings.Count(string(text), "x"))
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "twice")); err == nil {
		t.Errorf("GPUs were had twice at once: %s", text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "together"))
	if err != nil || !strings.ContainsAny(string(text), "23456") {
		t.Errorf("so many GPUs were had at once: %q, %v", text, err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		f, err := d.Nodes(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		nodes, err := os.ReadDir(d.place(to.Name).nodes())
		if f.Ready == 1 && len(nodes) == 1 && f.Busy+f.Creating+f.Leaving+f.Queued == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it is left with %+v, %v, %v", f, nodes, err)
		}
	}
}

// Workers are killed at any moment, two at a time.
func TestWorkersKilledManyTimes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r, dir := rand.New(rand.NewPCG(seed, 0)), t.TempDir()
	for range 15 {
		one, two := start(t, dir, ""), start(t, dir, "")
		time.Sleep(time.Duration(r.IntN(80_000)) * time.Microsecond)
		_, _ = one.Process.Kill(), two.Process.Kill()
		_, _ = one.Wait(), two.Wait()
	}
	if err := start(t, dir, "").Wait(); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
}

// A worker dies at each step of a pass.
func TestWorkerKilledAtEachStep(t *testing.T) {
	for _, at := range []string{"decided", "saved", "did create", "did start", "did remove"} {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			for range 3 {
				if err := start(t, dir, at).Wait(); err == nil {
					t.Log("it came to its end before that step") // all ends well without it
				}
			}
			if err := start(t, dir, "").Wait(); err != nil {
				t.Fatal(err)
			}
			whole(t, dir)
		})
	}
}
