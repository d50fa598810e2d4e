package targettest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var stopQuestions = []question{
	{"CancelRunning", cancelRunning},
	{"CancelBeforeSubmit", cancelBeforeSubmit},
	{"CancelAfterEnd", cancelAfterEnd},
	{"CancelAtAnyMoment", cancelAtAnyMoment},
	{"CancelLetsTheJobFinish", cancelLetsTheJobFinish},
	{"CancelKillsAfterGrace", cancelKillsAfterGrace},
	{"NothingOutlivesTheJob", nothingOutlivesTheJob},
}

func cancelRunning(t *testing.T, h Harness) {
	j := h.job("cancel", "echo on; sleep 300")
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	h.cancel(t, j.ID)
	h.cancel(t, j.ID)
	st := h.wait(t, j.ID)
	if st.State != target.Cancelled || st.Cause != target.CauseCancel {
		t.Errorf("got %+v", st)
	}
	h.cancel(t, j.ID)
	h.submit(t, j, nil)
	h.stays(t, j.ID, st)
}

func cancelBeforeSubmit(t *testing.T, h Harness) {
	j := h.job("cancel-first", "true")
	h.cancel(t, j.ID)
	h.submit(t, j, nil)
	if st := h.wait(t, j.ID); st.State != target.Cancelled || h.log(t, j.ID) != "" {
		t.Errorf("got %+v, log %q", st, h.log(t, j.ID))
	}
	if r := h.collect(t, j.ID, &Blobs{}); len(r.Artifacts) != 0 {
		t.Errorf("collected %+v", r)
	}
}

func cancelAfterEnd(t *testing.T, h Harness) {
	for id, script := range map[string]string{"ended-well": "exit 0", "ended-badly": "exit 3"} {
		st := h.run(t, h.job(id, script), nil)
		h.cancel(t, id)
		h.stays(t, id, st)
	}
}

// However far a submission has come when the cancellation arrives, the job ends as
// cancelled, and nothing of it stays.
func cancelAtAnyMoment(t *testing.T, h Harness) {
	for i := range 8 {
		id := fmt.Sprintf("moment-%d", i)
		pids := h.shared(t, id)
		j := h.job(id, "echo $$ >>"+word(pids)+"; sleep 300")
		t.Cleanup(func() { h.abandon(id) })
		submitted := make(chan error, 1)
		go func() { submitted <- h.Driver.Submit(t.Context(), h.Target, j, &Blobs{}) }()
		time.Sleep(time.Duration(i*i) * 4 * time.Millisecond) // to come at another moment each time
		h.cancel(t, id)
		if err := <-submitted; err != nil {
			t.Errorf("%s: submit: %v", id, err)
		}
		st := h.wait(t, id)
		if st.State != target.Cancelled {
			t.Errorf("%s: got %+v", id, st)
		}
		if _, err := os.Stat(pids); err == nil {
			h.allGone(t, pids)
		}
	}
}

// A job that handles TERM is given the time to do so, and is cancelled whatever
// its exit code.
func cancelLetsTheJobFinish(t *testing.T, h Harness) {
	j := h.job("cancel-gently", `trap 'echo saved; exit 0' TERM; echo on; while :; do sleep 0.05 || :; done`)
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	h.cancel(t, j.ID)
	if st := h.wait(t, j.ID); st.State != target.Cancelled || !strings.HasSuffix(h.log(t, j.ID), "saved\n") {
		t.Errorf("got %+v, log %q", st, h.log(t, j.ID))
	}
}

// family is a script that leaves a child, a grandchild and a daemon in a session
// of its own, all deaf to TERM, writes their pids, and then does what is told.
func family(pids, then string) string {
	return `trap '' TERM
sleep 300 & echo $! >>` + pids + `.part
(sleep 300 & echo $! >>` + pids + `.part)
setsid sh -c 'echo $$ >>` + pids + `.part; exec sleep 300' &
while [ "$(wc -l <` + pids + `.part)" -lt 3 ]; do sleep 0.01; done
mv ` + pids + `.part ` + pids + `
` + then
}

func cancelKillsAfterGrace(t *testing.T, h Harness) {
	pids := h.shared(t, "deaf")
	j := h.job("deaf", family(pids, "while :; do sleep 1; done"))
	j.Grace = 200 * time.Millisecond
	h.submit(t, j, nil)
	appears(t, h, j.ID, pids)
	h.cancel(t, j.ID)
	st := h.wait(t, j.ID)
	if st.State != target.Cancelled || st.Signal != 9 {
		t.Errorf("got %+v", st)
	}
	h.allGone(t, pids)
}

func nothingOutlivesTheJob(t *testing.T, h Harness) {
	pids := h.shared(t, "left")
	st := h.run(t, h.job("left", family(pids, "exit 4")), nil)
	if st.State != target.Failed || st.Exit != 4 {
		t.Errorf("got %+v", st)
	}
	h.allGone(t, pids)
}

// allGone checks that the processes whose pids are in a file are dead.
func (h Harness) allGone(t *testing.T, path string) {
	t.Helper()
	if !h.Local {
		t.Log("SKIP: processes cannot be looked up on this target")
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(2 * time.Second)
	for _, pid := range pidsOf(string(text)) {
		for alive(pid) {
			if time.Now().After(end) {
				t.Errorf("process %d outlived the job", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	// One that has died but was not waited for still answers.
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !isZombie(string(stat))
}

// isZombie reads the state out of a line of proc_pid_stat(5), which follows the
// name in parentheses.
func isZombie(stat string) bool {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	return len(f) > 0 && f[0] == "Z"
}

func pidsOf(text string) []int {
	var pids []int
	for _, line := range strings.Fields(text) {
		if pid, err := strconv.Atoi(line); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
