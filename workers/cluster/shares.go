package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// shares is the provider local: a node is a share of this computer. It is there as long as
// its folder is, so that whoever removes the folder takes the node away.
type shares struct {
	// free tells how much of the computer's memory is available, from 0 to 1.
	free func() float64
}

func (shares) list(_ context.Context, p place) ([]string, error) {
	entries, err := os.ReadDir(p.nodes())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (shares) make(_ context.Context, p place, node string) error {
	return os.MkdirAll(filepath.Join(p.nodes(), node), 0o700)
}

func (shares) remove(_ context.Context, p place, node string) error {
	return os.RemoveAll(filepath.Join(p.nodes(), node))
}

// Nodes of low priority are wanted back when less than scarce of the memory is available,
// until ample is.
const (
	scarce = 0.05
	ample  = 0.15
)

func (s shares) wanted(held bool) string {
	free := s.free()
	if free < scarce || held && free < ample {
		return fmt.Sprintf("this computer runs short of memory: %.0f %% is available", 100*free)
	}
	return ""
}

// freeMemory reads which part of the memory can be used without swapping, as
// proc_meminfo(5) estimates it. Where there is no such file, all of it.
func freeMemory() float64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1
	}
	var total, available float64
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "MemTotal: %f kB", &total)
		_, _ = fmt.Sscanf(line, "MemAvailable: %f kB", &available)
	}
	if total == 0 {
		return 1
	}
	return available / total
}

// coming implements provider.
func (shares) coming(place) string { return "" }
