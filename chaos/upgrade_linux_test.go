package chaos

import (
	"fmt"
	"testing"
	"time"
)

// The program is replaced by another build while runs are in progress, once and back
// again. The first command of the other one takes the server's place; the jobs do not
// notice, and the runs go on.
func TestProgramReplacedWhileJobsRun(t *testing.T) {
	long(t)
	t.Parallel()
	other, err := build("other", "-tags", tags(), "-ldflags", "-s -w")
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t)
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
	for _, program := range []string{other, u.program, other} {
		u.pause(300 * time.Millisecond)
		u.program = program
		u.does("ps")
		now := u.server("server")
		if now == 0 || was[now] {
			t.Errorf("the server of the other build stayed: process %d", now)
		}
		was[now] = true
	}
	g.open()
	u.observe(run)
	u.observe(chained)
	u.judge()
}
