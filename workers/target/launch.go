package target

// Launch says how the ranks of a job begin on its nodes, and what they are told of each
// other in the words of their library. A job without one has a rank on each node.
//
// Every rank is a process group of its own, with its own folder, in which it finds the
// code. Ranks are counted through the nodes: rank r runs on node r / Processes. Either
// all of them start or none counts: when one fails the others are stopped, and the job
// fails with the one that failed first as the rank that decided. What a rank is told is
// set by package ranks, the same on every target.
type Launch struct {
	Kind LaunchKind `json:"kind"`
	// Processes is how many ranks there are on each node; at least 1. They share what
	// the job was granted of the node.
	Processes int `json:"processes"`
}

// LaunchKind is a convention by which ranks find each other.
type LaunchKind string

// The kinds of launch. All ranks of the first three are started by the target, and see
// RANK, LOCAL_RANK, NODE_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
const (
	LaunchEnv      LaunchKind = "env"      // nothing but these
	LaunchTorchrun LaunchKind = "torchrun" // also what torchrun sets, for torch.distributed's env://
	LaunchTF       LaunchKind = "tf"       // also TF_CONFIG, for TensorFlow's MultiWorkerMirroredStrategy
	// LaunchMPI starts the job once, on the first node, with a host file in the form of
	// OpenMPI: the job calls mpirun, which starts the ranks itself.
	LaunchMPI LaunchKind = "mpi"
)

// Nodes is how many machines the job spans; at least 1.
func (j Job) Nodes() int { return max(j.Needs.Nodes, 1) }

// PerNode is how many ranks there are on each node; at least 1.
func (j Job) PerNode() int {
	if j.Launch == nil {
		return 1
	}
	return max(j.Launch.Processes, 1)
}

// Ranks is how many processes the target starts for the job, counted through the nodes.
func (j Job) Ranks() int {
	if j.Launch != nil && j.Launch.Kind == LaunchMPI {
		return 1
	}
	return j.Nodes() * j.PerNode()
}
