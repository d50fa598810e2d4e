package chaos

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var from = flag.String("from", "", "the commit whose program is replaced; otherwise it is the same program, built in another way")

// The program is replaced by another build while runs are in progress, once and back
// again. The first command of the other one takes the server's place; the jobs do not
// notice, and the runs go on.
func TestProgramReplacedWhileJobsRun(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	now, other := u.program, u.another()
	u.program = other
	g := u.gate("end")
	var steps []step
	for i := range 4 {
		first, then := fmt.Sprint("first", i), fmt.Sprint("then", i)
		steps = append(steps, step{name: first, lines: 50, script: g.wait(), leaves: true}, step{name: then, needs: []string{first}, lines: 20, leaves: true})
	}
	run := u.submit(steps...)
	links := chain(30)
	chained := u.start(u.pipeline("chain", links...), links...)
	u.until("the jobs run", func() bool { return len(u.running()) >= 4 })
	was := map[int]bool{u.server("server"): true}
	for _, program := range []string{now, other, now} {
		u.pause(300 * time.Millisecond)
		u.program = program
		u.does("ps")
		pid := u.server("server")
		if pid == 0 || was[pid] {
			t.Errorf("the server of the other build stayed: process %d", pid)
		}
		was[pid] = true
	}
	g.open()
	u.observe(run)
	u.observe(chained)
	u.judge()
}

// another is a program of another build, or of another commit.
func (u *user) another() string {
	u.Helper()
	if *from == "" {
		path, err := build("other", "-tags", tags(), "-ldflags", "-s -w")
		u.must(err)
		return path
	}
	dir := u.TempDir()
	path := filepath.Join(dir, "amlflow")
	c := exec.Command("sh", "-c", `git -C .. archive "$1" | tar -x -C "$2" && cd "$2" && go build -o amlflow ./cmd/amlflow`, "sh", *from, dir)
	if words, err := c.CombinedOutput(); err != nil {
		u.Fatalf("build the program of %s: %v\n%s", *from, err, words)
	}
	return path
}
