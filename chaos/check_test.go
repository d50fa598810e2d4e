package chaos

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// good is a run of three stages that keeps every promise: the first is lost once
// and tried again, the second has items, the third uses both.
func good() History {
	return History{
		{Is: Accepted, Run: "r"},
		{Is: Declared, Run: "r", Stage: "one"},
		{Is: Declared, Run: "r", Stage: "fan", Needs: []string{"one"}, Items: 3},
		{Is: Declared, Run: "r", Stage: "last", Needs: []string{"one"}},
		{Is: Started, Run: "r", Job: "r.one.1", PID: 10, Lines: 3},
		{Is: Killed, Name: "supervisor", PID: 9},
		{Is: Started, Run: "r", Job: "r.one.2", PID: 11, Lines: 3},
		{Is: Made, Run: "r", Job: "r.one.2", Name: "model", Digest: "sha256:aa"},
		{Is: Finished, Run: "r", Job: "r.one.2", PID: 11, Exit: new(0)},
		{Is: Started, Run: "r", Job: "r.fan.1-1", PID: 12},
		{Is: Started, Run: "r", Job: "r.fan.2-1", PID: 13},
		{Is: Finished, Run: "r", Job: "r.fan.1-1", PID: 12, Exit: new(0)},
		{Is: Finished, Run: "r", Job: "r.fan.2-1", PID: 13, Exit: new(4)},
		{Is: Started, Run: "r", Job: "r.last.1", PID: 14},
		{Is: Finished, Run: "r", Job: "r.last.1", PID: 14, Exit: new(0)},
		{Is: Ended, Run: "r", Status: "failed", Exit: new(10)},
		{Is: Stage, Run: "r", Stage: "one", Status: "succeeded", Attempts: 2, Exit: new(0)},
		{Is: Stage, Run: "r", Stage: "fan", Status: "failed", Exit: new(4), Count: &Count{Total: 3, Succeeded: 1, Failed: 1, Cancelled: 1}},
		{Is: Stage, Run: "r", Stage: "last", Status: "succeeded", Attempts: 1, Exit: new(0)},
		{Is: Published, Run: "r", Stage: "one", Name: "model", Digest: "sha256:aa"},
		{Is: Logged, Run: "r", Stage: "one", Numbers: []int{1, 2, 3}},
	}
}

// find returns the first fact of a kind about a job or a stage.
func (h History) find(is Kind, about string) *Fact {
	i := slices.IndexFunc(h, func(f Fact) bool { return f.Is == is && (f.Job == about || f.Stage == about) })
	return &h[i]
}

func without(h History, is Kind, about string) History {
	return slices.DeleteFunc(h, func(f Fact) bool { return f.Is == is && (f.Job == about || f.Stage == about) })
}

func TestAGoodHistoryBreaksNothing(t *testing.T) {
	for _, b := range Check(good()) {
		t.Error(b)
	}
}

// Each case breaks one promise, and that one alone is reported, in these words.
func TestEachBrokenPromiseIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		harm    func(h History) History
		promise string
		why     string
	}{
		"a run that nobody knows":   {func(h History) History { return append(h, Fact{Is: Accepted, Run: "gone"}) }, KnownAndEnds, "run gone was accepted, and nothing is known of it"},
		"a run that goes on":        {func(h History) History { h.find(Ended, "").Status = "running"; return h }, KnownAndEnds, "run r never ended: it is running"},
		"a second start":            {func(h History) History { return append(h, *h.find(Started, "r.last.1")) }, StartsOnce, "job r.last.1 started 2 times"},
		"a second end":              {func(h History) History { return append(h, *h.find(Finished, "r.last.1")) }, StartsOnce, "job r.last.1 came to its end 2 times"},
		"an end without a start":    {func(h History) History { return without(h, Started, "r.last.1") }, StartsOnce, "job r.last.1 did something before it started"},
		"another code of a command": {func(h History) History { h.find(Ended, "").Exit = new(0); return h }, RightCodes, "run r is failed, and the command that waited for it ended with 0"},
		"another code of a job":     {func(h History) History { h.find(Finished, "r.last.1").Exit = new(3); return h }, RightCodes, "stage last of run r succeeded, and its job r.last.1 ended with 3"},
		"another code of a stage":   {func(h History) History { h.find(Stage, "last").Exit = new(1); return h }, RightCodes, "stage last of run r has exit code 1, and its job r.last.1 ended with 0"},
		"success without an end":    {func(h History) History { return without(h, Finished, "r.last.1") }, RightCodes, "stage last of run r succeeded, and its job r.last.1 never came to its end"},
		"a start before its need":   {early, InOrder, "stage last of run r started while stage one, which it needs, was not over"},
		"a start after a failure":   {func(h History) History { h.find(Declared, "last").Needs = []string{"fan"}; return h }, InOrder, "stage last of run r started, and stage fan, which it needs, is failed"},
		"a stage without a record":  {func(h History) History { return without(h, Stage, "last") }, NoneSkipped, "stage last of run r is not in its run's record"},
		"a stage that was left out": {skip, NoneSkipped, "stage last of run r was skipped, and all that it needs succeeded"},
		"a success with a failure":  {succeed, NoneSkipped, "stage fan of run r is failed, and the run succeeded"},
		"a line twice":              {func(h History) History { h.find(Logged, "one").Numbers = []int{1, 2, 2, 3}; return h }, WholeLogs, "line 3 of the log of stage one of run r is number 2"},
		"a line that is missing":    {func(h History) History { h.find(Logged, "one").Numbers = []int{1, 3}; return h }, WholeLogs, "line 2 of the log of stage one of run r is number 3"},
		"a log that ends early":     {func(h History) History { h.find(Logged, "one").Numbers = []int{1, 2}; return h }, WholeLogs, "the log of stage one of run r has 2 of 3 lines"},
		"another digest":            {func(h History) History { h.find(Published, "one").Digest = "sha256:bb"; return h }, RightDigests, `the artifact "model" of stage one of run r is sha256:bb, and its job left sha256:aa`},
		"an artifact that is gone":  {func(h History) History { return without(h, Published, "one") }, RightDigests, `the artifact "model" that job r.one.2 left is nowhere`},
		"a process that stays":      {func(h History) History { return append(h, Fact{Is: Alive, Run: "r", Job: "r.last.1", PID: 14}) }, NothingLeft, "process 14 of job r.last.1 is alive after run r has ended"},
		"an item too many":          {func(h History) History { h.find(Stage, "fan").Count.Total = 4; return h }, CountedOnce, "stage fan of run r counts 4 items, and has 3"},
		"an item twice":             {func(h History) History { h.find(Stage, "fan").Count.Failed = 2; return h }, CountedOnce, "stage fan of run r counts 3 items, of which 4 ended"},
		"a success that was none":   {func(h History) History { return recount(h, 2, 1, 0) }, CountedOnce, "stage fan of run r counts 2 items that succeeded, and 1 jobs ended with 0"},
		"a failure that is missing": {func(h History) History { return recount(h, 1, 0, 2) }, CountedOnce, "stage fan of run r counts 0 items that failed, and 1 jobs ended with another code than 0"},
		"an item that never started": {func(h History) History {
			h.find(Stage, "fan").Count = &Count{Total: 3, Succeeded: 1, Failed: 1, Skipped: 1}
			return append(h, lostItem)
		}, CountedOnce, "stage fan of run r counts fewer items than the 3 that started"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Check(c.harm(good()))
			if len(found) != 1 {
				t.Fatalf("%d promises are broken, want 1: %v", len(found), found)
			}
			if found[0].Promise != c.promise || found[0].Why != c.why || len(found[0].Facts) == 0 {
				t.Errorf("got\n%v\nwant the promise %q: %s", found[0], c.promise, c.why)
			}
		})
	}
}

var lostItem = Fact{Is: Started, Run: "r", Job: "r.fan.3-1", PID: 15}

// early lets the last stage run before the end of what it needs.
func early(h History) History {
	start, end, need := *h.find(Started, "r.last.1"), *h.find(Finished, "r.last.1"), *h.find(Finished, "r.one.2")
	h = without(without(h, Started, "r.last.1"), Finished, "r.last.1")
	i := slices.IndexFunc(h, func(f Fact) bool { return f.Is == Finished && f.Job == need.Job })
	return slices.Insert(h, i, start, end)
}

func skip(h History) History {
	h = without(without(h, Started, "r.last.1"), Finished, "r.last.1")
	h.find(Stage, "last").Status = "skipped"
	h.find(Stage, "last").Exit = nil
	return h
}

func succeed(h History) History {
	*h.find(Ended, "") = Fact{Is: Ended, Run: "r", Status: "succeeded", Exit: new(0)}
	return h
}

func recount(h History, succeeded, failed, cancelled int) History {
	h.find(Stage, "fan").Count = &Count{Total: 3, Succeeded: succeeded, Failed: failed, Cancelled: cancelled}
	return h
}

// What is said of a broken promise names it and shows the facts.
func TestWhatIsSaid(t *testing.T) {
	h := append(good(), Fact{Is: Alive, Run: "r", Job: "r.last.1", PID: 14})
	got := Check(h)[0].String()
	want := `the promise "nothing of a run is alive after its end" is broken: process 14 of job r.last.1 is alive after run r has ended
    {"at":0,"is":"alive","run":"r","job":"r.last.1","pid":14}`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheLogKeepsTheOrderOfEvents(t *testing.T) {
	l, err := NewLog(filepath.Join(t.TempDir(), "facts"))
	if err != nil {
		t.Fatal(err)
	}
	want := good()
	for i := range want {
		want[i].At = float64(i + 1)
		if err := l.Add(want[i]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.Read()
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestWhatIsNoFactIsSaid(t *testing.T) {
	l, err := NewLog(filepath.Join(t.TempDir(), "facts"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Add(Fact{Is: Accepted, Run: "r\n"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(); err != nil {
		t.Error("a line feed in a name breaks the log:", err)
	}
	l.path, l.offset = "check_test.go", 0
	if _, err := l.Read(); err == nil || !strings.Contains(err.Error(), "check_test.go: fact 2 is none:") {
		t.Errorf("got %v", err)
	}
}
