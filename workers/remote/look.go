package remote

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// View is one look at a unit.
type View struct {
	jobdir.View
	Known bool      // the machine has a folder of it
	Now   time.Time // by the clock of the machine, while it runs
}

// glance is a look that somebody waits for.
type glance struct {
	unit string
	done chan struct{}
	view View
	err  error
}

// glances gathers looks, so that following many jobs costs a machine no more than one
// look at a time, and remembers what was running a moment ago.
type glances struct {
	mu      sync.Mutex
	waiting []*glance
	busy    bool
	running map[string]kept
}

// kept is what was seen of a unit that runs.
type kept struct {
	view View
	till time.Time
}

const (
	lookWithin = time.Minute     // bounds a look for many: that of one may have ended by itself
	mostLooks  = 200             // how many units are looked at together
	longest    = 2 * time.Second // how old a view of what runs may be, at most
	portion    = 20              // of the time that it has been running
)

// Look reports how the process of a unit is. It also does what is due: what outstays
// its grace is killed, and what an ended process left behind. Those who look while
// another look is under way share the next one. A unit that was running is said to be
// running a little longer, the more so the longer it has been, so that a job of hours is
// not looked at five times a second: at most two seconds.
func (m *Machine) Look(ctx context.Context, unit string) (View, error) {
	if err := checkUnit(unit); err != nil {
		return View{}, err
	}
	g := &glance{unit: unit, done: make(chan struct{})}
	gs := &m.glances
	gs.mu.Lock()
	if k, ok := gs.running[unit]; ok && time.Now().Before(k.till) {
		gs.mu.Unlock()
		return k.view, nil
	}
	gs.waiting = append(gs.waiting, g)
	if !gs.busy {
		gs.busy = true
		go m.lookOn(context.WithoutCancel(ctx))
	}
	gs.mu.Unlock()
	select {
	case <-g.done:
		return g.view, g.err
	case <-ctx.Done():
		return View{}, context.Cause(ctx)
	}
}

// lookOn looks as long as somebody waits for it.
func (m *Machine) lookOn(ctx context.Context) {
	for {
		now := m.glances.next()
		if len(now) == 0 {
			return
		}
		m.lookAt(ctx, now)
	}
}

func (gs *glances) next() []*glance {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	n := min(len(gs.waiting), mostLooks)
	now := gs.waiting[:n]
	gs.waiting = gs.waiting[n:]
	gs.busy = n > 0
	return now
}

// keep remembers a view, if it is of a unit that has been running for a while.
func (gs *glances) keep(unit string, v View) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.running, unit)
	if v.Phase == jobdir.Running {
		gs.running[unit] = kept{v, time.Now().Add(min(longest, v.Now.Sub(v.Start)/portion))}
	}
}

// Forget has a unit looked at anew the next time, because something was done to it.
func (m *Machine) Forget(unit string) { m.glances.forget(unit) }

// forget has the unit looked at the next time, because something was done to it.
func (gs *glances) forget(unit string) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.running, unit)
}

func (m *Machine) lookAt(ctx context.Context, all []*glance) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	asked := map[string]bool{}
	var units []string
	for _, g := range all {
		if !asked[g.unit] {
			asked[g.unit] = true
			units = append(units, g.unit)
		}
	}
	text, err := m.short(ctx, "look", units...)
	views := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		unit, rest, _ := strings.Cut(line, " ")
		views[unit] = rest
	}
	for _, g := range all {
		if g.err = err; err == nil {
			g.view, g.err = parseView(views[g.unit])
		}
		if g.err != nil {
			g.err = fmt.Errorf("look at %q: %w", g.unit, g.err)
		} else {
			m.glances.keep(g.unit, g.view)
		}
		close(g.done)
	}
}

// parseView reads what the tool says of a unit; see look in tool.sh.
func parseView(line string) (View, error) {
	f := strings.Fields(line)
	switch {
	case line == "unknown":
		return View{View: jobdir.View{Phase: jobdir.New}}, nil
	case line == "waiting":
		return View{View: jobdir.View{Phase: jobdir.New}, Known: true}, nil
	case len(f) == 4 && f[0] == "running":
		v := View{View: jobdir.View{Phase: jobdir.Running, Start: clock(f[1])}, Known: true, Now: clock(f[2])}
		v.traits(f[3])
		return v, nil
	case len(f) >= 5 && f[0] == "end":
		v := View{View: jobdir.View{Phase: jobdir.Ended, Start: clock(f[1])}, Known: true}
		v.traits(f[2])
		return v.ended(f[3], f[4:])
	}
	return View{}, fmt.Errorf("the host answered %.100q", line)
}

// traits reads what else the tool says of a unit, see traits in tool/processes.sh.
func (v *View) traits(word string) {
	for t := range strings.SplitSeq(word, ",") {
		switch t {
		case "unstarted":
			v.Unstarted = true
		case "starved":
			v.OOM = true
		case "watched":
			v.Notes = append(v.Notes, "the host lets this user make no control group for memory: what the job takes is looked at once a second, and it is killed when that is over the limit")
		case "unwatched":
			v.Notes = append(v.Notes, "memory is not limited here: the host lets this user make no control group, and does not tell what processes take")
		case "unlimited":
			v.Notes = append(v.Notes, "cpus are not limited here: the host lets this user make no control group for them")
		}
	}
}

// ended reads the record of an end.
func (v View) ended(how string, f []string) (View, error) {
	var err error
	switch {
	case how == "exit" && len(f) == 3:
		v.Status, err = strconv.Atoi(f[0])
		v.End = clock(f[1])
		if f[2] != "-" {
			v.Stopped = f[2]
		}
	case how == "killed" && len(f) == 2:
		v.Status, v.End, v.Stopped = 128+int(syscall.SIGKILL), clock(f[0]), f[1]
	case how == "never" && len(f) == 2:
		v.Status, v.End, v.Stopped = 128+int(syscall.SIGTERM), clock(f[0]), f[1]
	case how == "lost":
		v.Phase, v.End, v.Reason = jobdir.Lost, clock(f[0]), strings.Join(f[1:], " ")
	default:
		err = fmt.Errorf("its end is recorded as %q", how+" "+strings.Join(f, " "))
	}
	return v, err
}

// clock reads seconds since 1970; 0 is no time.
func clock(s string) time.Time {
	at, err := strconv.ParseFloat(s, 64)
	if err != nil || at <= 0 {
		return time.Time{}
	}
	whole, part := math.Modf(at)
	return time.Unix(int64(whole), int64(part*1e6)*1e3)
}
