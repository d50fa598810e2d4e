package jobdir

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// A process that has the pid of one that was seen before is another one.
func TestTheRegisterNoticesAReusedPid(t *testing.T) {
	c := exec.Command("sleep", "300")
	c.Env = []string{Mark + "=/some/folder", "OTHER=1"}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	pid := c.Process.Pid
	var r register
	if first := r.look(); !slices.Contains(first.marked["/some/folder"], pid) {
		t.Fatalf("it was not found: %v", first)
	}
	seen := r.known[pid]
	if again := r.look(); !slices.Contains(again.marked["/some/folder"], pid) || r.known[pid] != seen {
		t.Errorf("it was not remembered: %v", again)
	}
	r.known[pid] = entry{inode: seen.inode + 1}
	if third := r.look(); !slices.Contains(third.marked["/some/folder"], pid) {
		t.Errorf("it was taken for another: %v", third)
	}
	if _, ok := r.known[os.Getpid()]; !ok {
		t.Error("the list of processes is not whole")
	}
}

// Those of the kernel and the dead have no environment, and are in no exec.
func TestWhatIsNotInAnExec(t *testing.T) {
	c := exec.Command("true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	for executing(c.Process.Pid) || alive(c.Process.Pid) {
	}
	if env, _ := environment(2, nil); len(env) <= 1 && executing(2) {
		t.Error("the father of the kernel's threads is taken for one in an exec")
	}
}
