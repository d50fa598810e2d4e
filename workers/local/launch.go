package local

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// masterAddress is where rank 0 and all others are.
const masterAddress = "127.0.0.1"

// mostRanks is how many processes one job may have.
const mostRanks = 1024

// share is what one rank may use of its node.
func (r record) share() target.Resources {
	n, all := r.Job.PerNode(), r.Needs
	if r.Job.Ranks() == 1 {
		n = 1 // whatever it starts is in its group
	}
	all.CPUs, all.Memory = all.CPUs/float64(n), all.Memory/int64(n)
	return all
}

// listHosts writes the file that mpirun reads, where a job is launched by it.
func (r record) listHosts(dir string) error {
	if r.Job.Launch == nil || r.Job.Launch.Kind != target.LaunchMPI {
		return nil
	}
	hosts := slices.Repeat([]string{masterAddress}, r.Job.Nodes())
	return os.WriteFile(filepath.Join(dir, ranks.HostFile), []byte(ranks.Hosts(r.Job, hosts)), 0o600)
}
