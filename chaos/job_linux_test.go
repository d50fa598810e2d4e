package chaos

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// F5: a job is killed. That is a signal, and the retry policy applies once.
func TestJobKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	g := u.gate("end")
	run := u.submit(
		step{name: "never", lines: 10, script: g.wait()},
		step{name: "again", lines: 10, script: g.wait(), keys: "retry: { attempts: 2, backoff: 10ms, on: [signal] }\n"},
	)
	u.until("both jobs run", func() bool { return len(u.running()) == 2 })
	for job, pid := range u.running() {
		u.strike("job "+job, pid)
	}
	u.until("the second attempt runs", func() bool { return u.count(Started) == 3 })
	g.open()
	r := u.observe(run)
	if s := r.Stages["never"]; s.Status != "failed" || s.Cause != "signal" || s.Signal != 9 || s.Attempts != 1 {
		t.Errorf("the stage without retry: %+v", s)
	}
	if s := r.Stages["again"]; s.Status != "succeeded" || s.Attempts != 2 {
		t.Errorf("the stage with retry: %+v", s)
	}
	u.judge()
}

// F6: the supervisor of a job is killed. The attempt is lost, its job is dead, and
// a second start is another attempt.
func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	g := u.gate("end")
	run := u.submit(
		step{name: "never", lines: 10, script: g.wait()},
		step{name: "again", lines: 10, script: g.wait(), keys: "retry: { attempts: 2, backoff: 10ms, on: [lost] }\n"},
	)
	u.until("both jobs run", func() bool { return len(u.running()) == 2 })
	for job, pid := range u.running() {
		u.strike("supervisor of "+job, u.supervisor(job))
		u.until("its job is dead", func() bool { return gone(pid) })
	}
	u.until("the second attempt runs", func() bool { return u.count(Started) == 3 })
	g.open()
	r := u.observe(run)
	if s := r.Stages["never"]; s.Status != "lost" && s.Cause != "lost" {
		t.Errorf("the stage without retry: %+v", s)
	}
	if s := r.Stages["again"]; s.Status != "succeeded" || s.Attempts != 2 {
		t.Errorf("the stage with retry: %+v", s)
	}
	u.judge()
}

// daemon is a script that leaves a process behind which has left its group, its
// session and its parent, closed its files, and ignores what can be ignored.
const daemon = `
(trap '' TERM HUP INT; setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 &)
setsid sleep 300 </dev/null >/dev/null 2>&1 &
`

// F19: what a job leaves behind does not outlive it, whether it ends or is
// cancelled.
func TestDaemonsOfJobs(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	g := u.gate("end")
	ends := u.submit(step{name: "ends", script: daemon + g.wait()})
	cancelled := u.submit(step{name: "cancelled", script: daemon + "sleep 300\n"})
	u.until("both jobs run, with three processes each", func() bool {
		p := u.processesOf("AMLFLOW_JOB=")
		return len(u.running()) == 2 && countJobs(p, ends) > 3 && countJobs(p, cancelled) > 3
	})
	g.open()
	u.observe(ends)
	u.does("cancel", cancelled)
	if r := u.observe(cancelled); r.Status != "cancelled" {
		t.Errorf("the run is %s", r.Status)
	}
	u.judge()
}

func countJobs(all []process, run string) (n int) {
	for _, p := range all {
		if strings.HasPrefix(p.job, run+".") {
			n++
		}
	}
	return n
}

// F20: a job that ignores SIGTERM is killed with its whole group after its grace,
// also when the server dies in between.
func TestJobIgnoresTerm(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	run := u.submit(step{name: "deaf", lines: 10, script: "trap 'echo no' TERM\nwhile :; do sleep 0.1 || :; done\n"})
	u.until("the job runs", func() bool { return len(u.running()) == 1 })
	u.does("cancel", run, "--detach")
	job := fmt.Sprintf("%s.deaf.1", run)
	u.until("the job was asked to end", func() bool { return strings.Contains(u.amlflow("logs", run).out, "no") })
	if gone(u.running()[job]) {
		t.Error("the job had no grace")
	}
	u.killServer()
	r := u.observe(run)
	if r.Status != "cancelled" || r.Stages["deaf"].Status != "cancelled" {
		t.Errorf("the run is %s, its stage %s", r.Status, r.Stages["deaf"].Status)
	}
	u.judge()
}

// F16: cancel, cancel again, approve and cancel after the end, in any order and at
// any moment: the run ends in one legal state, which never changes again.
func TestCancelAndApproveInAnyOrder(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	steps := []step{{name: "one", lines: 10, script: "sleep 0.2\n"}, {name: "two", needs: []string{"gate"}, lines: 10, script: "sleep 0.1\n"}}
	file := u.pipeline("p", steps...)
	u.write(file, "amlflow: v1\npipeline: p\nstages:\n"+steps[0].yaml(u.history.path)+"  gate: { needs: [one], approve: {} }\n"+steps[1].yaml(u.history.path))
	steps = append(steps, step{name: "gate", needs: []string{"one"}})
	for range 6 {
		run := u.start(file, steps...)
		acts := [][]string{{"cancel", run}, {"cancel", run, "--detach"}, {"approve", run, "gate"}, {"approve", run, "gate"}, {"cancel", run}}
		u.rand.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
		for _, act := range acts {
			u.pause(150 * 1e6)
			if s := u.amlflow(act...); !slices.Contains([]int{0, 7}, s.code) {
				t.Errorf("amlflow %v ended with %d: %s", act, s.code, s.words)
			}
		}
		first := u.observe(run)
		for _, act := range acts {
			if s := u.amlflow(act...); s.code != 0 && s.code != 7 {
				t.Errorf("after the end, amlflow %v ended with %d: %s", act, s.code, s.words)
			}
		}
		if again := u.status(run); again.Status != first.Status {
			t.Errorf("run %s was %s, and became %s", run, first.Status, again.Status)
		}
	}
	u.judge()
}

// F10: the record of a job is of another start of the machine, or its process id
// belongs to another process by now. The job is lost; nobody else is taken for it.
func TestRecordsOfAnotherBoot(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	run := u.submit(step{name: "reboot", lines: 10, script: "sleep 300\n"}, step{name: "reuse", lines: 10, script: "sleep 300\n"})
	u.until("both jobs run", func() bool { return len(u.running()) == 2 })
	bystander := exec.Command("sleep", "300")
	bystander.Env, bystander.SysProcAttr = u.env, &syscall.SysProcAttr{Setsid: true}
	u.must(bystander.Start())
	go bystander.Wait()
	pid, reused := bystander.Process.Pid, u.supervisor(run+".reuse.1")
	u.killServer()
	for job := range u.running() {
		u.strike("supervisor of "+job, u.supervisor(job))
	}
	u.forge(run+".reboot.1", bootID(), "00000000-0000-0000-0000-000000000000")
	u.forge(run+".reuse.1", fmt.Sprint(reused), fmt.Sprint(pid))
	r := u.observe(run)
	for name, s := range r.Stages {
		if s.Cause != "lost" {
			t.Errorf("stage %s: %+v", name, s)
		}
	}
	if gone(pid) {
		t.Error("a process that only has the number of a job was killed")
	}
	u.judge()
}
