package local

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Surveyor = Driver{}

// holders are what holds jobs, by the version of control groups that can.
var holders = [...]target.Holder{target.ByNobody, target.ByGroup1, target.ByGroup2}

// Survey implements target.Surveyor. All nodes of a target are this computer.
func (Driver) Survey(ctx context.Context, t target.Target) ([]target.Machine, error) {
	if _, err := readSettings(t); err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "this computer"
	}
	m := target.Machine{Name: name, Alike: 1, CPUs: float64(runtime.NumCPU()), Memory: installed(), GPUs: countGPUs(ctx)}
	memory, cpus := jobdir.Groups()
	m.MemoryBy, m.CPUsBy = holders[memory], holders[cpus]
	return []target.Machine{m}, nil
}

// installed is what memory this computer has, in bytes; 0: it does not tell.
func installed() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
