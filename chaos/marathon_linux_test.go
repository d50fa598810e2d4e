package chaos

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	kills  = flag.Int("kills", 0, "how often the marathon kills a server; 0: 12 times, with -all")
	lanes  = flag.Int("lanes", 4, "over how many state folders it spreads them; as many at once as -parallel says")
	lasts  = flag.Duration("lasts", 0, "how long the job of the long run lasts; 0: 6s, with -all")
	during = flag.Int("during", 6, "how often the server is killed during the long run")
)

// The marathon kills servers in a row, each as soon as the one before it has been
// made good, over chains of short stages. It says how long that took: from the kill
// until the next job started.
func TestMarathon(t *testing.T) {
	total := *kills
	if total == 0 {
		long(t)
		total = 12
	}
	t.Parallel()
	var (
		all   sync.Mutex
		times []float64
	)
	t.Run("lanes", func(t *testing.T) {
		for lane := range *lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				mine := newUser(t).marathon((total + lane) / *lanes)
				all.Lock()
				defer all.Unlock()
				times = append(times, mine...)
			})
		}
	})
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	t.Logf("%d kills: the next job started after %.2f s in the median, %.2f s at worst", len(times), times[len(times)/2], times[len(times)-1])
}

// chain is a pipeline of short stages, one after the other.
func chain(length int) (steps []step) {
	for i := range length {
		s := step{name: fmt.Sprint("s", i), lines: 4, script: "sleep 0.05\n"}
		if i > 0 {
			s.needs = []string{steps[i-1].name}
		}
		steps = append(steps, s)
	}
	return steps
}

// marathon kills the server so often, and returns after how many seconds each time
// the next job started.
func (u *user) marathon(kills int) (times []float64) {
	u.Helper()
	steps := chain(40)
	file := u.pipeline("p", steps...)
	for len(times) < kills {
		run, target := u.start(file, steps...), u.count(Started)+len(steps)-10
		for len(times) < kills && u.count(Started) < target {
			seen := u.count(Started)
			u.until("a stage has started", func() bool { return u.count(Started) > seen })
			u.pause(200 * time.Millisecond)
			times = append(times, u.killAndResume())
		}
		u.observe(run)
	}
	u.judge()
	return times
}

// killAndResume kills the server, starts it again and returns after how many
// seconds the next job started.
func (u *user) killAndResume() float64 {
	u.Helper()
	seen, at := u.count(Started), float64(time.Now().UnixMicro())/1e6
	u.killServer()
	u.does("server", "start")
	var took float64
	u.until("the next stage starts", func() bool {
		n := 0
		for _, f := range u.facts() {
			if f.Is == Started {
				if n++; n > seen {
					took = f.At - at
					return true
				}
			}
		}
		return false
	})
	u.saw(Fact{Is: Reached, Name: "next job", After: took})
	return took
}

// The long run is one job that writes all the time, while the server is killed at
// random moments.
func TestLongRun(t *testing.T) {
	total := *lasts
	if total == 0 {
		long(t)
		total = 6 * time.Second
	}
	t.Parallel()
	u := newUser(t)
	count := int(total.Seconds() * 20)
	run := u.submit(step{name: "long", lines: 2 * count, leaves: true, script: "lines() { n=$1; while [ $n -le $2 ]; do echo \"line $n\"; n=$((n+1)); sleep 0.05; done; }\n"})
	u.until("the job runs", func() bool { return u.count(Started) == 1 })
	for range *during {
		u.pause(2 * total / time.Duration(*during))
		u.killServer()
		u.does("server", "start")
	}
	for left := total; left > 0 && u.count(Finished) == 0; left -= patience / 2 {
		u.amlflow("wait", run, "--timeout", (patience / 2).String())
	}
	u.observe(run)
	u.judge()
}
