package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
)

// network is a network of its own for some processes, with one link to ours.
type network struct {
	t            *testing.T
	name         string // of the namespace
	near, far    string // the ends of the link: ours and theirs
	ours, theirs string // their addresses
}

// networks numbers the networks of this process.
var networks atomic.Int32

// newNetwork makes a network, or skips the test where that is not allowed.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := int(networks.Add(1))
	name := fmt.Sprintf("chaos%d-%d", os.Getpid(), n)
	net := fmt.Sprintf("10.%d.%d", 200+os.Getpid()%50, n)
	w := &network{t: t, name: name, near: fmt.Sprintf("c%da%d", os.Getpid(), n), far: fmt.Sprintf("c%db%d", os.Getpid(), n), ours: net + ".1", theirs: net + ".2"}
	if words, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, no link is cut: a network of its own needs iproute2 and the right to make one; run the test as root: %v %s", err, words)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	w.ip("link", "add", w.near, "type", "veth", "peer", "name", w.far, "netns", name)
	w.ip("addr", "add", w.ours+"/30", "dev", w.near)
	w.ip("link", "set", w.near, "up")
	w.ip("-n", name, "addr", "add", w.theirs+"/30", "dev", w.far)
	w.ip("-n", name, "link", "set", w.far, "up")
	w.ip("-n", name, "link", "set", "lo", "up")
	return w
}

func (w *network) ip(args ...string) {
	w.t.Helper()
	if words, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %v: %v\n%s", args, err, words)
	}
}

// F8: the link between worker and engine is cut, or loses all that goes one way. It
// is as in F7, and no job is harmed for the want of an engine.
func TestLinkToTheEngineCut(t *testing.T) {
	long(t)
	t.Parallel()
	for name, c := range map[string]struct{ cut, heal func(*network) }{
		"both ways": {
			func(w *network) { w.ip("link", "set", w.near, "down") },
			func(w *network) { w.ip("link", "set", w.near, "up") },
		},
		"to the engine": {
			func(w *network) { w.ip("-n", w.name, "route", "add", "blackhole", w.ours+"/32") },
			func(w *network) { w.ip("-n", w.name, "route", "del", "blackhole", w.ours+"/32") },
		},
		"back": {
			func(w *network) { w.ip("route", "add", "blackhole", w.theirs+"/32") },
			func(w *network) { w.ip("route", "del", "blackhole", w.theirs+"/32") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newNetwork(t)
			e, u := newEngine(t), newUser(t)
			u.within = []string{"ip", "netns", "exec", w.name}
			e.uses(u, w.ours+":0")
			u.takenOver(e, func(int) { c.cut(w) }, func(int) { c.heal(w) })
		})
	}
}
