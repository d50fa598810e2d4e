package cluster

import (
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
)

// Workers and what holds the nodes are killed at any moment. No rank starts twice, what has
// succeeded has started once on each of its nodes, and nothing is left: no node, no
// allocation, no process.
func TestLentNodesUnderFire(t *testing.T) {
	t.Parallel()
	s := startSlurm(t, 2)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r, dir, shared := rand.New(rand.NewPCG(seed, 0)), t.TempDir(), t.TempDir()
	to := s.settings(shared, `"nodes": {"max": 3, "idle": "1s"}`, nil)
	worker := func() *exec.Cmd {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), workerDir+"="+dir, workerSettings+"="+string(to.Settings))
		s.check(c.Start())
		return c
	}
	killed := 0
	for range 6 {
		c := worker()
		time.Sleep(time.Duration(r.IntN(2500)) * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
		if pid := aHold(r, shared); pid > 0 && r.IntN(2) == 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			killed++
		}
	}
	if err := worker().Wait(); err != nil {
		t.Fatal(err)
	}
	d := New(filepath.Join(dir, "state"), nil)
	t.Cleanup(d.Close)
	ends := map[target.State]int{}
	for i, nodes := range sizes {
		st, err := d.Status(t.Context(), to, id(i))
		ends[st.State]++
		if err != nil || st.State != target.Succeeded && (st.State != target.Failed || st.Cause != target.CausePreempted) {
			t.Errorf("%s: %+v, %v", id(i), st, err)
		}
		for rank := range ranksOf(i, nodes) {
			text, _ := os.ReadFile(fmt.Sprintf("%s/starts.%s.%d", dir, id(i), rank))
			if n := strings.Count(string(text), "x"); n > 1 || n == 0 && st.State == target.Succeeded {
				t.Errorf("rank %d of %s started %d times, and is %s", rank, id(i), n, st.State)
			}
		}
	}
	t.Logf("%d holds killed; ends: %v", killed, ends)
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		s.check(d.Keep(t.Context()))
		f, err := d.Nodes(t.Context(), to)
		s.check(err)
		left := marked(shared)
		if f.Ready+f.Creating+f.Leaving+f.Queued == 0 && s.holds() == "" && len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it is left with %+v, allocations %q, processes %q", f, s.holds(), left)
		}
	}
}

// aHold is the process of one of the holds that are there, by chance; 0: there is none.
func aHold(r *rand.Rand, shared string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var all []int
	for _, file := range files {
		text, _ := os.ReadFile(file)
		args := strings.Split(string(text), "\x00")
		if cwd, _ := os.Readlink(filepath.Join(filepath.Dir(file), "cwd")); cwd == shared && len(args) > 5 && args[2] == "batch" && args[5] == "180" {
			var pid int
			_, _ = fmt.Sscanf(filepath.Base(filepath.Dir(file)), "%d", &pid)
			all = append(all, pid)
		}
	}
	if len(all) == 0 {
		return 0
	}
	return all[r.IntN(len(all))]
}

// marked are the processes of jobs in a folder.
func marked(shared string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), "AMLFLOW_PROCESS="+shared) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
