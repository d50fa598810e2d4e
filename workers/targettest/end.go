package targettest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var endQuestions = []question{
	{"Succeeds", succeeds},
	{"ExitCodes", exitCodes},
	{"ScriptStopsAtFirstError", scriptStopsAtFirstError},
	{"Signals", signals},
	{"UnknownCommand", unknownCommand},
	{"CommandIsNotParsed", commandIsNotParsed},
	{"Timeout", timeout},
	{"UnknownJobIsLost", unknownJobIsLost},
	{"Refusals", refusals},
	{"CleanForgets", cleanForgets},
	{"CleanRefusesRunning", cleanRefusesRunning},
}

func succeeds(t *testing.T, h Harness) {
	st := h.run(t, h.job("ok", "true"), nil)
	if st.State != target.Succeeded || st.Exit != 0 || st.Cause != "" || st.Reason != "" {
		t.Errorf("got %+v", st)
	}
	if st.Start.IsZero() || st.End.Before(st.Start) || time.Since(st.Start) > time.Hour {
		t.Errorf("it ran from %v to %v", st.Start, st.End)
	}
}

func exitCodes(t *testing.T, h Harness) {
	for _, code := range []int{0, 1, 2, 3, 42, 75, 100, 126, 127, 128, 200, 254, 255} {
		st := h.run(t, h.job(fmt.Sprintf("exit-%d", code), fmt.Sprintf("exit %d", code)), nil)
		want, cause := target.Failed, target.CauseExit
		if code == 0 {
			want, cause = target.Succeeded, ""
		}
		if st.State != want || st.Exit != code || st.Cause != cause || st.Signal != 0 || (st.Reason == "") != (code == 0) {
			t.Errorf("exit %d: got %+v", code, st)
		}
	}
}

func scriptStopsAtFirstError(t *testing.T, h Harness) {
	st := h.run(t, h.job("errexit", "echo before\nfalse\necho after\n"), nil)
	if log := h.log(t, "errexit"); st.Exit != 1 || log != "before\n" {
		t.Errorf("got %+v, log %q", st, log)
	}
}

func signals(t *testing.T, h Harness) {
	for name, number := range map[string]int{"KILL": 9, "TERM": 15, "USR1": 10} {
		id := "signal-" + strings.ToLower(name)
		st := h.run(t, h.job(id, "kill -"+name+" $$"), nil)
		if st.State != target.Failed || st.Cause != target.CauseSignal || st.Signal != number || st.Exit != 128+number {
			t.Errorf("%s: got %+v", name, st)
		}
	}
}

func unknownCommand(t *testing.T, h Harness) {
	j := target.Job{ID: "unknown-command", Command: []string{"amlflow-no-such-command", "x"}, Host: h.Host}
	st := h.run(t, j, nil)
	if st.State != target.Failed || st.Cause != target.CauseStart || !strings.Contains(st.Reason, "amlflow-no-such-command") {
		t.Errorf("got %+v", st)
	}
}

func commandIsNotParsed(t *testing.T, h Harness) {
	args := []string{"$HOME", "a b", "*", "`true`", "'\"\\", "", "line\nline", "-n", "größe"}
	j := target.Job{ID: "argv", Command: append([]string{"printf", "<%s>"}, args...), Host: h.Host}
	h.succeed(t, j, nil)
	if got, want := h.log(t, "argv"), "<"+strings.Join(args, "><")+">"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func timeout(t *testing.T, h Harness) {
	j := h.job("timeout", "sleep 300")
	j.Timeout = 300 * time.Millisecond
	st := h.run(t, j, nil)
	if st.State != target.Failed || st.Cause != target.CauseTimeout || st.Reason == "" {
		t.Errorf("got %+v", st)
	}
	j = h.job("in-time", "true")
	j.Timeout = time.Hour
	h.succeed(t, j, nil)
}

func unknownJobIsLost(t *testing.T, h Harness) {
	if st := h.status(t, "no-such-job"); st.State != target.Lost {
		t.Errorf("got %+v", st)
	}
	if text, n := h.read(t, "no-such-job", target.Stream{Name: target.Log}, 7); text != "" || n != 7 {
		t.Errorf("read %q up to %d", text, n)
	}
	if err := h.Driver.Clean(t.Context(), h.Target, "no-such-job"); err != nil {
		t.Errorf("clean: %v", err)
	}
}

// refusals are submissions that trying again cannot mend.
func refusals(t *testing.T, h Harness) {
	many := h.job("too-many-nodes", "true")
	many.Needs.Nodes = h.Driver.Can(h.Target).Nodes + 1
	for _, j := range []target.Job{
		h.job("../escape", "true"), h.job("", "true"), h.job("Upper", "true"), h.job("a/b", "true"),
		h.job(strings.Repeat("x", 201), "true"),
		{ID: "nothing", Host: h.Host},
		{ID: "both", Script: "true", Command: []string{"true"}, Host: h.Host},
		many,
	} {
		if err := h.Driver.Submit(t.Context(), h.Target, j, &Blobs{}); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("submit of %.20q: got %v, want a permanent error", j.ID, err)
		}
	}
}

func cleanForgets(t *testing.T, h Harness) {
	j := h.job("clean", "mkdir ro && touch ro/file && chmod 500 ro")
	h.succeed(t, j, nil)
	for range 2 {
		if err := h.Driver.Clean(t.Context(), h.Target, j.ID); err != nil {
			t.Fatalf("clean: %v", err)
		}
	}
	if st := h.status(t, j.ID); st.State != target.Lost {
		t.Errorf("after clean: %+v", st)
	}
	h.submit(t, j, nil) // a submission that was slower than all the rest
	if st := h.status(t, j.ID); st.State != target.Lost {
		t.Errorf("a job that was cleaned was started again: %+v", st)
	}
}

func cleanRefusesRunning(t *testing.T, h Harness) {
	j := h.job("clean-running", "echo on; sleep 300")
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	if err := h.Driver.Clean(t.Context(), h.Target, j.ID); err == nil {
		t.Error("a running job was cleaned")
	}
	if st := h.status(t, j.ID); st.State != target.Running {
		t.Errorf("got %+v", st)
	}
}

// logHas waits until the log of a job contains text.
func (h Harness) logHas(t *testing.T, id, text string) {
	t.Helper()
	h.rankLogHas(t, id, 0, text)
}

func (h Harness) rankLogHas(t *testing.T, id string, rank int, text string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(h.rankLog(t, id, rank), text) {
			return
		}
	}
	t.Fatalf("the log of rank %d of job %s never had %q: %+v, %q", rank, id, text, h.status(t, id), h.rankLog(t, id, rank))
}
