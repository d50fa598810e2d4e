package remote

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Kept lists the units that the machine keeps, and the marks of those that were
// cleaned. Name is that of the unit.
func (m *Machine) Kept(ctx context.Context) ([]target.Kept, error) {
	text, err := m.ask(ctx, nil, "kept")
	if err != nil {
		return nil, fmt.Errorf("list what is kept: %w", err)
	}
	var all []target.Kept
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) != 4 || checkUnit(path.Base(f[3])) != nil {
			continue // it was removed meanwhile, or is none of ours
		}
		kilobytes, _ := strconv.ParseInt(f[1], 10, 64)
		all = append(all, target.Kept{What: target.What(f[0]), Name: path.Base(f[3]), Bytes: kilobytes << 10, Used: clock(f[2])})
	}
	return all, nil
}

// Unmark removes the mark of a unit that was cleaned before a time, and reports whether
// it did.
func (m *Machine) Unmark(ctx context.Context, unit string, before time.Time) (bool, error) {
	if err := checkUnit(unit); err != nil {
		return false, err
	}
	text, err := m.short(ctx, "unmark", unit, strconv.FormatInt(before.Unix(), 10))
	return text != "", err
}

// JoinRanks makes one thing of what is kept of the ranks of a job.
func JoinRanks(kept []target.Kept) []target.Kept {
	type thing struct {
		what target.What
		name string
	}
	var all []target.Kept
	at := map[thing]int{}
	for _, k := range kept {
		k.Name, _, _ = strings.Cut(k.Name, "+")
		i, ok := at[thing{k.What, k.Name}]
		if !ok {
			at[thing{k.What, k.Name}] = len(all)
			all = append(all, k)
			continue
		}
		all[i].Bytes += k.Bytes
		if k.Used.After(all[i].Used) {
			all[i].Used = k.Used
		}
	}
	return all
}
