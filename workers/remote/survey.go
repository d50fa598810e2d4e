package remote

import (
	"context"
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// holders are the words of tool/survey.sh.
var holders = map[string]target.Holder{"v1": target.ByGroup1, "v2": target.ByGroup2, "watched": target.ByWatch, "nobody": target.ByNobody}

// Survey looks at what the machine has, and at what would hold a unit there to its limits.
// Whoever calls gives it a name.
func (m *Machine) Survey(ctx context.Context) (target.Machine, error) {
	seen := target.Machine{Alike: 1}
	text, err := m.ask(ctx, nil, "survey")
	if err != nil {
		return seen, err
	}
	first, list, _ := strings.Cut(strings.TrimSpace(text), "\n")
	var kilobytes int64
	var memory, cpus string
	if _, err := fmt.Sscanf(first, "%g %d %s %s", &seen.CPUs, &kilobytes, &memory, &cpus); err != nil || holders[memory] == "" || holders[cpus] == "" {
		return seen, fmt.Errorf("the host answered %.100q when it was asked what it has", text)
	}
	seen.Memory, seen.MemoryBy, seen.CPUsBy = kilobytes<<10, holders[memory], holders[cpus]
	if list != "unknown" {
		n := strings.Count("\n"+list, "\nGPU ")
		seen.GPUs = &n
	}
	return seen, nil
}
