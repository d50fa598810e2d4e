package chaos

import (
	"sync"
	"testing"
)

// F15: the same is submitted fifty times at once under one key, and the server is
// killed meanwhile. There is one run; the key does not stand for anything else.
func TestFiftySubmitsAtOnce(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	only := step{name: "one", lines: 3}
	file := u.pipeline("p", only)
	other := u.pipeline("other", step{name: "one", script: "echo something else\n"})
	u.does("server", "start")
	runs := u.submitsAtOnce(50, func() { u.killServer() }, "run", file, "--idempotency-key", "k", "--detach", "-o", "json")
	if len(runs) != 1 {
		t.Fatalf("one key gave %d runs: %v", len(runs), runs)
	}
	for run := range runs {
		u.accepted(run, only)
		u.observe(run)
	}
	if s := u.amlflow("run", other, "--idempotency-key", "k", "--detach"); s.code != 7 {
		t.Errorf("the same key for something else ended with %d: %s", s.code, s.words)
	}
	u.judge()
}

// submitsAtOnce runs a command n times at once, does harm meanwhile, and returns
// how often each run was named.
func (u *user) submitsAtOnce(n int, harm func(), args ...string) map[string]int {
	u.Helper()
	said := make([]said, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { said[i] = u.amlflow(args...) })
	}
	u.pause(patience / 100)
	harm()
	all.Wait()
	runs := map[string]int{}
	for _, s := range said {
		if s.code != 0 {
			u.Errorf("a submit ended with %d: %s", s.code, s.words)
			continue
		}
		runs[parse[struct{ Run string }](u, s.out).Run]++
	}
	return runs
}
