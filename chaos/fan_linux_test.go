package chaos

import (
	"testing"
	"time"
)

// F28: a thousand items, of which one in twenty fails, while the worker is killed.
// Each is counted once.
func TestThousandItems(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	const wide = 1000
	run := u.submit(step{name: "fan", items: wide, lines: 3, exit: "ITEM % 20 == 0"}, step{name: "join", needs: []string{"fan"}})
	for _, part := range []int{100, 400, 700} {
		u.until("a part of the items has started", func() bool { return u.count(Started) >= part })
		u.pause(200 * time.Millisecond)
		u.killServer()
		u.does("server", "start")
	}
	r := u.observe(run)
	if c := r.Stages["fan"].Count; c == nil || c.Total != wide || c.Failed != wide/20 || c.Succeeded != wide-wide/20 {
		t.Errorf("counted %+v", c)
	}
	if s := r.Stages["join"].Status; s != "skipped" {
		t.Errorf("the stage that needs all of them is %s", s)
	}
	u.judge()
}
