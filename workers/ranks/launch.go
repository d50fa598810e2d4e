package ranks

import (
	"encoding/json"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// HostFile is the file in the folder of rank 0 that mpirun reads; see Hosts.
const HostFile = "hostfile"

// Hosts is the content of HostFile, which a job that is launched by MPI must find: a
// line "ADDRESS slots=N" for each machine, as OpenMPI reads it. hosts are the addresses
// of the nodes; several nodes on one machine add up.
func Hosts(job target.Job, hosts []string) string {
	slots, order := map[string]int{}, []string(nil)
	for _, h := range hosts {
		if slots[h] == 0 {
			order = append(order, h)
		}
		slots[h] += job.PerNode()
	}
	var b strings.Builder
	for _, h := range order {
		fmt.Fprintf(&b, "%s slots=%d\n", h, slots[h])
	}
	return b.String()
}

// Ports is how many ports in a row a job needs: one for rank 0 to listen on, or one for
// each worker of TensorFlow.
func Ports(job target.Job) int {
	if job.Launch != nil && job.Launch.Kind == target.LaunchTF {
		return job.Ranks()
	}
	return 1
}

// launched is what a rank is told beside what every rank is told.
func launched(job target.Job, p Place) map[string]string {
	world := strconv.Itoa(job.Nodes() * job.PerNode())
	switch job.Launch.Kind {
	case target.LaunchTorchrun:
		return torchrun(job, p)
	case target.LaunchTF:
		return map[string]string{"TF_CONFIG": tfConfig(job, p)}
	case target.LaunchMPI:
		file := path.Join(p.Dir, HostFile)
		return map[string]string{
			"WORLD_SIZE":       world, // the target starts one process, mpirun as many as this
			"AMLFLOW_HOSTFILE": file,
			// Where mpirun of OpenMPI 4 and 5 finds it without being told.
			"OMPI_MCA_orte_default_hostfile": file,
			"PRTE_MCA_prte_default_hostfile": file,
		}
	}
	return nil
}

// torchrun is what torchrun sets beside what all launchers do (PyTorch, "torchrun",
// environment variables). There is no agent with a store of its own, so that rank 0
// opens it at MASTER_PORT, as env:// does without torchrun.
func torchrun(job target.Job, p Place) map[string]string {
	env := map[string]string{
		"GROUP_RANK":       strconv.Itoa(p.Rank / job.PerNode()),
		"GROUP_WORLD_SIZE": strconv.Itoa(job.Nodes()),
		"ROLE_NAME":        "default",
		"ROLE_RANK":        strconv.Itoa(p.Rank),
		"ROLE_WORLD_SIZE":  strconv.Itoa(p.World),

		"TORCHELASTIC_RUN_ID":          job.ID,
		"TORCHELASTIC_RESTART_COUNT":   "0",
		"TORCHELASTIC_MAX_RESTARTS":    "0",
		"TORCHELASTIC_USE_AGENT_STORE": "False",
	}
	if job.PerNode() > 1 {
		env["OMP_NUM_THREADS"] = "1" // as torchrun does: the processes would fight over the cores
	}
	return env
}

// tfConfig is TF_CONFIG (TensorFlow, "Multi-worker training"): all workers with their
// ports, and which of them this one is.
func tfConfig(job target.Job, p Place) string {
	workers := make([]string, p.World)
	for rank := range workers {
		host := p.Master
		if node := rank / job.PerNode(); node < len(p.Hosts) {
			host = p.Hosts[node]
		}
		workers[rank] = net.JoinHostPort(host, strconv.Itoa(p.Port+rank))
	}
	text, err := json.Marshal(map[string]any{
		"cluster": map[string]any{"worker": workers},
		"task":    map[string]any{"type": "worker", "index": p.Rank},
	})
	if err != nil {
		return "" // texts and numbers are always JSON
	}
	return string(text)
}
