package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/target"
)

// everySecond is a schedule whose runs do what a script says.
func everySecond(o engine.Options, name, overlap, script string) engine.Scheduling {
	return engine.Scheduling{
		Name: name, Timing: flow.Timing{Every: time.Second, Timezone: "UTC", Overlap: overlap, CatchUp: time.Hour},
		Request: engine.Request{Plan: scripts(script), Store: o.StoreDir(), Host: map[string]string{"PATH": os.Getenv("PATH")}},
	}
}

func add(t *testing.T, e *engine.Engine, s engine.Scheduling) *engine.Schedule {
	t.Helper()
	got, err := e.AddSchedule(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return got.Schedule
}

func scheduled(t *testing.T, e *engine.Engine, name string) *engine.Schedule {
	t.Helper()
	s, err := e.Schedule(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// in is how many runs of a schedule are in a state.
func in(s *engine.Schedule, state target.State) (n int) {
	for _, f := range s.Firings {
		if f.Status == state && f.Run != "" {
			n++
		}
	}
	return n
}

func remove(t *testing.T, e *engine.Engine, name string) {
	t.Helper()
	if there, err := e.RemoveSchedule(t.Context(), name); err != nil || !there {
		t.Errorf("removing %s: %t, %v", name, there, err)
	}
}

// What becomes of times at which an earlier run goes on: its stage waits until the test
// lets it go.
func TestRunsOfAScheduleThatOverlap(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	for _, overlap := range []string{"skip", "queue", "latest", "cancel", "allow"} {
		// Only one may be in the folder at once, unless both are allowed.
		script := fmt.Sprintf("mkdir %[1]s/%[2]s || { echo x >>%[1]s/%[2]s.clash; exit 1; }; trap 'rmdir %[1]s/%[2]s' EXIT; trap 'exit 1' TERM; until [ -e %[3]s ]; do sleep 0.02; done", dir, overlap, gate)
		if overlap == "allow" {
			script = fmt.Sprintf("until [ -e %s ]; do sleep 0.02; done", gate)
		}
		add(t, e, everySecond(o, overlap, overlap, script))
	}
	eventually(t, "times are skipped", func() bool { return scheduled(t, e, "skip").Skipped >= 2 })
	if s := scheduled(t, e, "skip"); len(s.Firings) != 1 || in(s, target.Running) != 1 {
		t.Errorf("skip: %+v", s)
	}
	_, err := e.TriggerSchedule(t.Context(), "skip", "")
	if !errors.Is(err, engine.ErrOverlap) {
		t.Errorf("a run that would have to be skipped: %v", err)
	}
	eventually(t, "two run at once", func() bool { return in(scheduled(t, e, "allow"), target.Running) >= 2 })
	eventually(t, "one is cancelled for the next", func() bool {
		s := scheduled(t, e, "cancel")
		return in(s, target.Cancelled) >= 1 && in(s, target.Running) == 1
	})
	if s := scheduled(t, e, "queue"); len(s.Firings) != 1 || s.Skipped > 0 {
		t.Errorf("queue: %+v", s)
	}
	if s := scheduled(t, e, "latest"); len(s.Firings) != 1 {
		t.Errorf("latest: %+v", s)
	}
	for _, name := range []string{"skip", "cancel", "allow"} {
		remove(t, e, name)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was queued is run", func() bool { return in(scheduled(t, e, "queue"), target.Succeeded) >= 3 })
	remove(t, e, "queue")
	// Several seconds have passed: the oldest of them that waited has no run.
	eventually(t, "one of the times that waited is run", func() bool { return in(scheduled(t, e, "latest"), target.Succeeded) >= 2 })
	s := scheduled(t, e, "latest")
	slices.Reverse(s.Firings)
	left := 0
	for _, f := range s.Firings[1:] {
		if f.Status != flow.Skipped {
			break
		}
		left++
	}
	if left == 0 || !strings.Contains(s.Firings[1].Why, "had come before it could begin") {
		t.Errorf("latest: %+v", s.Firings)
	}
	remove(t, e, "latest")
	for _, overlap := range []string{"skip", "queue", "latest", "cancel"} {
		if exists(filepath.Join(dir, overlap+".clash")) {
			t.Errorf("%s: two ran at once", overlap)
		}
	}
	if all, err := e.Schedules(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("schedules are left: %+v, %v", all, err)
	}
}

// The server is killed again and again around the times of a schedule. Each time has
// one run, and each run started its job once.
func TestAScheduleOutlivesItsServer(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	jobs := filepath.Join(t.TempDir(), "jobs")
	add(t, e, everySecond(o, "often", "allow", "echo $AMLFLOW_JOB >>"+jobs))
	for kills := range 4 {
		eventually(t, "a run begins", func() bool { return len(scheduled(t, e, "often").Firings) > kills })
		s := scheduled(t, e, "often")
		// About the next time, before it or after it.
		select {
		case <-t.Context().Done():
		case <-time.After(time.Until(s.Next[0].Add(time.Duration(kills-1) * 15 * time.Millisecond))):
		}
		if err := syscall.Kill(e.Info().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it goes on", func() bool { return in(scheduled(t, e, "often"), target.Succeeded) >= 8 })
	if err := e.PauseSchedule(t.Context(), "often", "enough"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have ended", func() bool { s := scheduled(t, e, "often"); return in(s, target.Succeeded) == len(s.Firings) })
	s := scheduled(t, e, "often")
	var runs []engine.Summary
	eventually(t, "all runs are listed", func() (all bool) {
		var err error
		runs, err = e.List(t.Context(), 100)
		return err == nil && len(runs) >= s.Runs
	})
	if len(runs) != s.Runs {
		t.Errorf("%d runs of %d times", len(runs), s.Runs)
	}
	due := map[time.Time]bool{}
	earliest, latest := s.Firings[0].At, s.Firings[0].At
	for _, r := range runs {
		if r.Schedule != "often" || r.Pipeline != "test" || due[r.Due] {
			t.Errorf("a run of the schedule is listed as %+v", r)
		}
		due[r.Due] = true
		if r.Due.Before(earliest) {
			earliest = r.Due
		}
	}
	for at := earliest; !at.After(latest); at = at.Add(time.Second) {
		if !due[at] {
			t.Errorf("there is no run of %v", at)
		}
	}
	text, _ := os.ReadFile(jobs)
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if seen[line] {
			t.Errorf("the job %s was started twice", strings.TrimSpace(line))
		}
		seen[line] = true
	}
	if len(seen) != s.Runs {
		t.Errorf("%d jobs of %d runs", len(seen), s.Runs)
	}
}

// While the server is away nothing begins. What it missed is begun when it is back, and
// nothing is while the schedule is paused.
func TestAScheduleCatchesUp(t *testing.T) {
	o := options(t, nil, 300*time.Millisecond)
	e := open(t, o)
	add(t, e, everySecond(o, "often", "allow", "true"))
	eventually(t, "a run begins", func() bool { return len(scheduled(t, e, "often").Firings) > 0 })
	seat := server.Seat{Home: o.Home}
	if err := server.Stop(t.Context(), seat); err != nil {
		t.Fatal(err)
	}
	away := time.Now()
	<-time.After(time.Until(away.Truncate(time.Second).Add(3*time.Second + 100*time.Millisecond)))
	back := time.Now()
	missed := func() (n int) {
		for _, f := range scheduled(t, e, "often").Firings {
			if f.At.After(away) && f.At.Before(back) && f.Run != "" {
				n++
			}
		}
		return n
	}
	eventually(t, "what was missed is begun", func() bool { return missed() == 3 })

	// A schedule keeps the server, as long as it is not paused.
	if err := e.PauseSchedule(t.Context(), "often", "enough"); err != nil {
		t.Fatal(err)
	}
	last := ""
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(last)
		}
	})
	eventually(t, "all have ended", func() bool {
		s := scheduled(t, e, "often")
		last = fmt.Sprintf("the last times: %+v", s.Firings)
		return in(s, target.Succeeded) == len(s.Firings)
	})
	yearly := everySecond(o, "yearly", "skip", "true")
	yearly.Timing.Every, yearly.Timing.Cron = 0, "@yearly"
	add(t, e, yearly)
	pid := e.Info().PID
	e.Close()
	<-time.After(time.Second) // more than the server stays with nothing to do
	if syscall.Kill(pid, 0) != nil {
		t.Error("the server stopped, and has a schedule")
	}
	again := open(t, o)
	for range 2 {
		if err := again.PauseSchedule(t.Context(), "yearly", "a reason"); err != nil {
			t.Fatal(err)
		}
	}
	pid = again.Info().PID
	if s := scheduled(t, again, "yearly"); !s.Paused || s.Note != "a reason" || len(s.Next) > 0 {
		t.Errorf("paused: %+v", s)
	}
	again.Close()
	eventually(t, "the server stops", func() bool { return syscall.Kill(pid, 0) != nil })
}

// A schedule of an external engine fires there while nobody can begin the run. That is
// made up for within the time that it catches up, and no later.
func TestAnExternalScheduleThatNobodyServed(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	a := c.Address()
	o := options(t, &a, time.Minute)
	e := open(t, o)
	soon, never := everySecond(o, "soon", "skip", "true"), everySecond(o, "never", "skip", "true")
	soon.Paused, never.Paused, never.Timing.CatchUp = true, true, time.Millisecond
	add(t, e, soon)
	add(t, e, never)
	seat := server.Seat{Home: o.Home, External: &a}
	if err := e.Absent(t.Context(), seat, "soon", "never"); err != nil {
		t.Fatal(err)
	}
	first := func(name string) *engine.Firing {
		s := scheduled(t, e, name)
		if len(s.Firings) == 0 {
			return &engine.Firing{}
		}
		return &s.Firings[len(s.Firings)-1]
	}
	eventually(t, "the run begins late", func() bool { return first("soon").Status == target.Succeeded })
	eventually(t, "the other one is left out", func() bool { return first("never").Status == flow.Skipped && first("never").Run == "" })
}

// Adding again changes what is not the same, and tells it.
func TestAddingAScheduleAgain(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	s := everySecond(o, "nightly", "skip", "true")
	s.Timing.Every, s.Timing.Cron = 0, "0 3 1 * 1"
	got, err := e.AddSchedule(t.Context(), s)
	if err != nil || !got.New || len(got.Schedule.Next) == 0 {
		t.Fatalf("added: %+v, %v", got, err)
	}
	for _, at := range got.Schedule.Next { // as a crontab has it: the first, or a Monday
		if at.Day() != 1 && at.Weekday() != time.Monday || at.Hour() != 3 || at.Minute() != 0 || at.Second() != 0 {
			t.Errorf("%s is due at %v", s.Timing.Cron, at)
		}
	}
	if got, err = e.AddSchedule(t.Context(), s); err != nil || got.New || !got.Plan.Empty() || !got.Schedule.Changed.IsZero() {
		t.Errorf("added again: %+v, %v", got, err)
	}
	if err := e.PauseSchedule(t.Context(), "nightly", "x"); err != nil {
		t.Fatal(err)
	}
	s.Request.Plan, s.Timing.Overlap = scripts("false"), "queue"
	if got, err = e.AddSchedule(t.Context(), s); err != nil || got.Plan.Empty() || got.Before.Timing.Overlap != "skip" || got.Schedule.Timing.Overlap != "queue" || !got.Schedule.Paused {
		t.Errorf("changed: %+v, %v", got, err)
	}
	f, err := e.TriggerSchedule(t.Context(), "nightly", "")
	if err != nil || f.Run == "" {
		t.Fatal(f, err)
	}
	if p := wait(t, e, f.Run); p.Status != target.Failed {
		t.Errorf("a run of the changed schedule: %s", p.Status)
	}
	for _, err := range []error{e.PauseSchedule(t.Context(), "none", ""), e.ResumeSchedule(t.Context(), "none"), second(e.TriggerSchedule(t.Context(), "none", "")), second(e.Schedule(t.Context(), "none"))} {
		if !errors.Is(err, engine.ErrNoSchedule) {
			t.Errorf("no schedule: %v", err)
		}
	}
	remove(t, e, "nightly")
	if there, err := e.RemoveSchedule(t.Context(), "nightly"); there || err != nil {
		t.Errorf("removed twice: %t, %v", there, err)
	}
}

func second[T any](_ T, err error) error { return err }

// What a schedule needs is kept, however long ago it was added.
func TestASweepKeepsWhatSchedulesNeed(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	s := everySecond(o, "yearly", "skip", "true")
	s.Timing.Every, s.Timing.Cron = 0, "@yearly"
	add(t, e, s)
	age(t, o.StoreDir())
	if kinds := sweep(t, e, time.Hour, false); kinds[engine.LeftArtifact] != 0 {
		t.Errorf("removed: %v", kinds)
	}
	f, err := e.TriggerSchedule(t.Context(), "yearly", "")
	if err != nil {
		t.Fatal(err)
	}
	if p := wait(t, e, f.Run); p.Status != target.Succeeded {
		t.Errorf("got %+v", p)
	}
	// Without it, it says why nothing begins.
	if err := os.RemoveAll(filepath.Join(o.StoreDir(), "sha256")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := e.TriggerSchedule(ctx, "yearly", ""); err == nil || !strings.Contains(err.Error(), "add the schedule again") {
		t.Errorf("without its plan: %v", err)
	}
	remove(t, e, "yearly")
	age(t, o.StoreDir())
}
