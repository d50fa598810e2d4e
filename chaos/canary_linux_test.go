package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A canary goes on while everything that it needs is killed, at random moments and under
// load: the gateway, its guard, both at once, the background server, instances. Nobody is
// refused and no answer says no; what breaks off with a gateway is answered when it is
// sent again. Each split is there once, and gives each version its part. In the end one
// version is active.
func TestCanaryUnderKills(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	rounds, hold := 1, 3*time.Second
	if *all {
		rounds, hold = 4, 8*time.Second
	}
	u.write("plain.yaml", "amlflow: v1\npipeline: plain\nstages:\n  serve:\n    deploy: { endpoint: m, score: score.py, sample: sample.json, instances: 2 }\n")
	u.write("canary.yaml", fmt.Sprintf(`amlflow: v1
pipeline: canary
stages:
  serve:
    deploy:
      endpoint: m
      score: score.py
      sample: sample.json
      instances: 2
      canary:
        - { weight: 20, hold: %[1]v, check: "${{ endpoint.error_rate < 0.5 }}" }
        - { weight: 60, hold: %[1]v, check: "${{ endpoint.error_rate < 0.5 }}" }
      rollback: { when: "${{ endpoint.error_rate > 0.5 }}", hold: 1s, requests: 20 }
`, hold))
	u.write("sample.json", "1")
	u.scores(1, "")
	u.does("run", "plain.yaml")
	c := u.client()
	for round := range rounds {
		version := round + 2
		u.scores(version, "")
		c.may(version)
		run := parse[struct{ Run string }](u, u.does("run", "canary.yaml", "--detach", "-o", "json")).Run
		u.saw(Fact{Is: Accepted, Run: run}, Fact{Is: Declared, Run: run, Stage: "serve"})
		u.until("the canary is in its first step", func() bool { return len(u.decided(run)) > 1 })
		u.until("the gateway is guarded", func() bool { return u.gatewayNow().alive() })
		u.harass(c, hold)
		r := u.sawEnd(run)
		if r.Status != "succeeded" {
			u.Fatalf("the run ended as %+v: %v", r, *r.Stages["serve"].Error)
		}
		u.converges(version)
		u.sharedAsDecided(c, run, version)
		c.must(version)
	}
	u.guarded()
	c.judge()
	u.judge()
}

// harass kills each of those that a canary needs, in random order, while it goes on.
func (u *user) harass(c *client, lasts time.Duration) {
	u.Helper()
	victims := []string{"gateway", "guard", "both", "server", "instance", "both", "reserve", "server"}
	u.rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	for _, victim := range victims {
		u.pause(2 * lasts / time.Duration(len(victims)))
		g := u.gatewayNow()
		switch victim {
		case "gateway":
			u.strikeAll(c, victim, g.PID)
		case "guard":
			u.strikeAll(c, victim, g.Guard)
		case "reserve":
			u.strikeAll(c, victim, g.Reserve)
		case "both":
			u.strikeAll(c, "gateway and guard", g.PID, g.Guard)
		case "instance":
			u.strikeAll(c, victim, int(c.pid.Load()))
		case "server":
			if pid := u.server("server"); pid > 0 {
				u.strike(victim, pid)
			}
			u.does("server", "start")
		}
		// The next harm is a second one, and no part of this: the gateway has come back,
		// and has all that guards it.
		u.until("a gateway answers, and is guarded", func() bool { n := u.gatewayNow(); return n.alive() && c.answered() })
	}
}

// strikeAll kills processes in one moment.
func (u *user) strikeAll(c *client, name string, pids ...int) {
	u.Helper()
	for _, pid := range pids {
		if pid <= 1 {
			u.Fatalf("there is no %s to kill: %v", name, pids)
		}
		u.saw(Fact{Is: Killed, Name: name, PID: pid})
	}
	for _, pid := range pids {
		process{pid: pid}.kill()
	}
	if strings.HasPrefix(name, "gateway") {
		c.gateways.Add(1)
	}
	for _, pid := range pids {
		u.until("the "+name+" that was killed is gone", func() bool { return gone(pid) })
	}
}

// gatewayNow is what the gateway says of itself.
type gatewayNow struct{ PID, Guard, Reserve int }

func (n gatewayNow) alive() bool {
	return !slices.ContainsFunc([]int{n.PID, n.Guard, n.Reserve}, func(pid int) bool { return pid <= 1 || gone(pid) })
}

func (u *user) gatewayNow() (n gatewayNow) {
	text, err := os.ReadFile(filepath.Join(u.home, "local", "gateway", "now.json"))
	if err != nil || json.Unmarshal(text, &n) != nil {
		return gatewayNow{}
	}
	return n
}

// guarded waits until there is one gateway, one guard and one reserve, and no more.
func (u *user) guarded() {
	u.Helper()
	u.until("one gateway, one guard and one reserve are left", func() bool {
		count := map[string]int{}
		for _, p := range u.processes() {
			for _, name := range []string{"amlflow-guard", "amlflow-reserve"} {
				if strings.Contains(p.line, " "+name+" ") {
					count[name]++
				}
			}
			if strings.HasPrefix(p.line, u.program+" gateway ") {
				count["gateway"]++
			}
		}
		return count["amlflow-guard"] == 1 && count["amlflow-reserve"] == 1 && count["gateway"] == 1
	})
}

// change is one entry in the history of an endpoint.
type change struct {
	At    time.Time
	What  string
	Run   string
	Split *struct {
		ID     string
		Shares []struct {
			Deployment string
			Weight     float64
		}
	}
}

// decided is what a run has decided about the endpoint, in the order in which it did.
func (u *user) decided(run string) (all []change) {
	u.Helper()
	e := parse[struct{ History []change }](u, u.does("endpoint", "show", "m", "-o", "json"))
	for _, c := range e.History {
		if c.Run == run {
			all = append(all, c)
		}
	}
	return all
}

// sharedAsDecided holds the history of a canary, and what clients saw meanwhile, against
// what it was to be.
func (u *user) sharedAsDecided(c *client, run string, version int) {
	u.Helper()
	all := u.decided(run)
	var did []string
	for _, x := range all {
		if x.Split == nil {
			did = append(did, x.What)
			continue
		}
		did = append(did, strings.TrimPrefix(x.Split.ID, run+".serve.1."))
	}
	if want := []string{"deploy", "1", "2", "all", "done"}; !slices.Equal(did, want) {
		u.Fatalf("the history of the endpoint tells of %v, and the run has done %v", did, want)
	}
	for step, want := range map[int]float64{1: 0.2, 2: 0.6} {
		// What is under way when a split comes may be answered by either.
		own, others := c.between(all[step].At.Add(200*time.Millisecond), all[step+1].At, version)
		share := float64(own) / float64(max(own+others, 1))
		u.Logf("version %d had %.3f of %d requests in step %d", version, share, own+others, step)
		// A gateway that comes back begins to share anew, and one request is in the hands
		// of each client.
		slack := float64(2*clientsAtOnce*(1+int(c.gateways.Load())))/float64(own+others) + 0.02
		if share < want-slack || share > want+slack {
			u.Errorf("in step %d version %d had %.3f of %d requests, and %.2f ± %.3f were to be", step, version, share, own+others, want, slack)
		}
	}
}
