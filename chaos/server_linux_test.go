package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// F1: the server, which holds the worker, is killed again and again while jobs run.
func TestServerKilledWhileJobsRun(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	kills := 4
	if *all {
		kills = 20
	}
	g := u.gate("end")
	var steps []step
	for i := range 4 {
		steps = append(steps, step{name: fmt.Sprint("s", i), lines: 200, script: g.wait(), leaves: true, exit: fmt.Sprint(i * 3)})
	}
	run := u.submit(steps...)
	u.until("all jobs run", func() bool { return u.count(Started) == len(steps) })
	for range kills {
		u.killServer()
		u.does("server", "start")
		u.pause(300 * time.Millisecond)
	}
	u.reaches(run, func() { u.killServer(); g.open() })
	u.observe(run)
	u.judge()
}

// reaches does harm that ends jobs and takes away the server, and tells how long
// the program then takes to know of a run's end.
func (u *user) reaches(run string, harm func()) {
	u.Helper()
	harm()
	began := time.Now()
	u.until("the run is known to have ended", func() bool { return u.status(run).Status != "running" })
	took := time.Since(began).Seconds()
	u.saw(Fact{Is: Reached, Name: "server", Run: run, After: took})
	u.Logf("%.1f s from the kill until the end of the run was known", took)
}

// F2: the server is killed at random moments of many short stages, so that each
// step of a job's life is hit: before and after its submission, between its end
// and the report of it.
func TestServerKilledAtEachStep(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	var steps []step
	for chain := range 8 {
		for link := range 4 {
			s := step{name: fmt.Sprintf("c%d-%d", chain, link), lines: 20, leaves: true}
			if link > 0 {
				s.needs = []string{fmt.Sprintf("c%d-%d", chain, link-1)}
			}
			steps = append(steps, s)
		}
	}
	run := u.submit(steps...)
	for range 5 {
		seen := u.count(Started)
		u.pause(100 * time.Millisecond)
		u.killServer()
		u.does("server", "start")
		u.until("the stages go on", func() bool { return u.count(Started) > seen || u.count(Finished) == len(steps) })
	}
	u.observe(run)
	u.judge()
}

// F2: small runs are carried out at once by whoever looks at them first, and the server
// is killed within that moment: no record tells then what was begun.
func TestServerKilledInTheFirstMoment(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	rounds := 2
	if *all {
		rounds = 10
	}
	var steps []step
	for i := range 5 {
		s := step{name: fmt.Sprint("s", i), lines: 5, leaves: true, exit: fmt.Sprint(i / 4 * 3)}
		if i%2 == 1 {
			s.needs = []string{steps[i-1].name}
		}
		steps = append(steps, s)
	}
	file := u.pipeline("p", steps...)
	u.does("server", "start")
	for range rounds {
		var runs []string
		for range 6 {
			runs = append(runs, u.start(file, steps...))
		}
		u.pause(100 * time.Millisecond)
		u.killServer()
		u.does("server", "start")
		for _, run := range runs {
			u.observe(run)
		}
	}
	u.judge()
}

// F3: all of ours but the jobs is killed: server, engine, database, commands. The
// next command goes on with every run that was accepted.
func TestAllButJobsKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	g := u.gate("end")
	steps := []step{{name: "one", lines: 50, script: g.wait(), leaves: true}, {name: "two", needs: []string{"one"}, lines: 50}}
	file := u.pipeline("p", steps...)
	var runs []string
	for range 4 {
		runs = append(runs, u.start(file, steps...))
		watch := u.command("wait", runs[len(runs)-1])
		u.must(watch.Start())
		go watch.Wait()
	}
	// The last of them may not have started its job yet; it is accepted all the same.
	for _, p := range u.processes() {
		if p.job == "" {
			u.strike("process", p.pid)
		}
	}
	g.open()
	for _, run := range runs {
		u.observe(run)
	}
	u.judge()
}

// F2: the server is killed while a command submits. What the command named is one
// run, and there is none that nobody was told of.
func TestServerKilledWhileSubmitting(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	only := step{name: "one", lines: 3}
	file := u.pipeline("p", only)
	u.does("server", "start")
	want := map[string]bool{}
	for range 12 {
		named := make(chan said, 1)
		go func() { named <- u.amlflow("run", file, "--detach", "-o", "json") }()
		u.pause(150 * time.Millisecond)
		if u.server("server") != 0 {
			u.killServer()
		}
		if s := <-named; s.code == 0 {
			id := parse[struct{ Run string }](u, s.out).Run
			u.accepted(id, only)
			want[id] = true
		} else {
			t.Logf("one was refused with %d: %s", s.code, s.words)
		}
	}
	for run := range want {
		u.observe(run)
	}
	for _, run := range strings.Fields(u.does("ps", "-o", "name", "-n", "1000")) {
		if !want[run] {
			t.Errorf("nobody was told of run %s", run)
		}
	}
	u.judge()
}
