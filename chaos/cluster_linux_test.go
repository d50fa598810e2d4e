package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fleet is what the file of a cluster says of its nodes.
type fleet struct {
	Cluster struct {
		Nodes []struct{ Name, Phase, Job string }
		Jobs  []struct{ ID string }
	}
}

func (u *user) fleet(name string) (f fleet) {
	text, err := os.ReadFile(filepath.Join(u.home, "cluster", "clusters", name, "state.json"))
	if err == nil {
		u.must(json.Unmarshal(text, &f))
	}
	return f
}

// While forty jobs pass through three nodes, servers, supervisors, jobs and nodes are
// taken away at any moment. Each attempt starts once, all is done in the end, the cluster
// comes back to its fewest nodes by itself, and nothing is left alive.
func TestClusterUnderFire(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.write("amlflow.yaml", "amlflow: v1\nworkspace: w\ntargets: { farm: { kind: cluster, nodes: { min: 1, max: 3, idle: 1s } } }\n")
	const wide, strikes = 40, 14
	run := u.submit(step{name: "work", items: wide, lines: 4, script: "sleep 0.4\n", keys: "target: farm\nretry: { budgets: { lost: 20, preempted: 20, signal: 20 }, backoff: 10ms }\n"})
	nodes := filepath.Join(u.home, "cluster", "clusters", "farm", "nodes")
	at := map[string]int{}
	for range strikes {
		u.pause(600 * time.Millisecond)
		jobs := u.running()
		switch what := []string{"server", "supervisor", "job", "node"}[u.rand.IntN(4)]; what {
		case "server":
			if pid := u.server("server"); pid > 0 {
				at[what]++
				u.killServer()
				u.does("server", "start")
			}
		case "node":
			if all, _ := os.ReadDir(nodes); len(all) > 0 {
				at[what]++
				u.must(os.RemoveAll(filepath.Join(nodes, all[u.rand.IntN(len(all))].Name())))
			}
		default: // one that ends just now is as good as any
			for job, pid := range jobs {
				if what == "supervisor" {
					pid = u.supervisor(job)
				}
				if pid > 1 {
					at[what]++
					u.saw(Fact{Is: Killed, Name: what + " of " + job, PID: pid})
					syscall.Kill(pid, syscall.SIGKILL)
				}
				break
			}
		}
	}
	t.Logf("struck: %v", at)
	r := u.sawEnd(run)
	if c := r.Stages["work"].Count; r.Status != "succeeded" || c == nil || c.Succeeded != wide {
		t.Errorf("the run %s, and counted %+v", r.Status, c)
	}
	// From here on nobody types a command.
	u.until("one node is left, with nothing to do", func() bool {
		f := u.fleet("farm").Cluster
		return len(f.Nodes) == 1 && f.Nodes[0].Phase == "ready" && f.Nodes[0].Job == "" && len(f.Jobs) == 0
	})
	if left, err := os.ReadDir(nodes); err != nil || len(left) != 1 {
		t.Errorf("there are the nodes %v, %v", left, err)
	}
	var alive []process
	u.until("nothing of the jobs is alive", func() bool {
		alive = u.processesOf(filepath.Join(u.home, "cluster", "jobs") + "/")
		return len(alive) == 0
	})
	starts := map[string]int{}
	for _, f := range u.facts() {
		if f.Is == Started {
			starts[f.Job]++
		}
	}
	for job, n := range starts {
		if n != 1 {
			t.Errorf("%s started %d times", job, n)
		}
		if !strings.HasPrefix(job, run+".work.") {
			t.Errorf("%s is not of the run", job)
		}
	}
	u.judge()
}
