package slurm

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// Nodes that differ in their state alone are counted together, those of other partitions are
// left out, and who holds jobs is read from the configuration.
func TestMachinesOfAPartition(t *testing.T) {
	const text = `node cpu* 3 4 2048 (null)
node cpu* 1 4 2048 (null)
node cpu* 2 64 515000 gpu:a100:4(S:0-1),gpu:h100:2,tmp:9
node big 9 9 9 (null)
JobAcctGatherParams     = %s
SelectTypeParameters    = CR_CORE_MEMORY
TaskPlugin              = task/affinity,task/cgroup
ConstrainCores          = no
ConstrainRAMSpace       = %s
`
	no, six := 0, 6
	cpu := target.Machine{Name: "partition cpu", Alike: 4, CPUs: 4, Memory: 2 << 30, GPUs: &no, MemoryBy: target.BySlurm, CPUsBy: target.BySlurm}
	gpu := cpu
	gpu.Alike, gpu.CPUs, gpu.Memory, gpu.GPUs = 2, 64, 515000<<20, &six
	for _, c := range []struct {
		params, constrain string
		holder            target.Holder
	}{{"(null)", "yes", target.BySlurm}, {"NoShared,OverMemoryKill", "no", target.BySlurm}, {"(null)", "no", target.ByNobody}} {
		cpu.MemoryBy, gpu.MemoryBy = c.holder, c.holder
		if got, want := parseMachines(fmt.Sprintf(text, c.params, c.constrain), false), []target.Machine{cpu, gpu}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: got %+v, want %+v", c, got, want)
		}
	}
	if got := parseMachines("node big 9 9 9 (null)\n", true); len(got) != 1 || got[0].CPUsBy != target.ByNobody {
		t.Errorf("got %+v", got)
	}
}
