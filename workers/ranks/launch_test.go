package ranks

import (
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// threeNodes is rank 5 of six, on three machines of which two are one.
func threeNodes(kind target.LaunchKind) (target.Job, Place) {
	j := target.Job{ID: "job", Launch: &target.Launch{Kind: kind, Processes: 2}, Needs: target.Resources{Nodes: 3}}
	return j, Place{Dir: "/job", Rank: 5, World: j.Ranks(), Master: "10.0.0.1", Port: 7000, Hosts: []string{"10.0.0.1", "fe80::2", "10.0.0.1"}}
}

func TestWorkersAreOnTheirNodes(t *testing.T) {
	j, p := threeNodes(target.LaunchTF)
	want := `{"cluster":{"worker":["10.0.0.1:7000","10.0.0.1:7001","[fe80::2]:7002","[fe80::2]:7003","10.0.0.1:7004","10.0.0.1:7005"]},"task":{"index":5,"type":"worker"}}`
	if got := Environ(j, p)["TF_CONFIG"]; got != want {
		t.Errorf("got %s", got)
	}
	if got := Ports(j); got != 6 {
		t.Errorf("six workers need %d ports", got)
	}
}

func TestHostsAddUp(t *testing.T) {
	j, p := threeNodes(target.LaunchMPI)
	if got, want := Hosts(j, p.Hosts), "10.0.0.1 slots=4\nfe80::2 slots=2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Rank, p.World = 0, j.Ranks()
	env := Environ(j, p)
	if env["WORLD_SIZE"] != "6" || env["RANK"] != "0" || env["AMLFLOW_HOSTFILE"] != "/job/hostfile" || Ports(j) != 1 {
		t.Errorf("got %v, %d ports", env, Ports(j))
	}
}

func TestRanksAreCountedThroughTheNodes(t *testing.T) {
	j, p := threeNodes(target.LaunchTorchrun)
	env := Environ(j, p)
	for name, want := range map[string]string{"RANK": "5", "LOCAL_RANK": "1", "NODE_RANK": "2", "GROUP_RANK": "2", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "3", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "7000"} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if _, there := Environ(target.Job{}, Place{World: 1})["TORCHELASTIC_RUN_ID"]; there {
		t.Error("a job that torchrun does not launch is told that it does")
	}
}
