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

// Kept lists the units of the owner that the machine keeps, and the marks of those that were
// cleaned; when no other owner has used the machine for sixty days the environments of Python
// and the contents, too. Name is that of the unit, of the content, and the digest of an
// environment.
func (m *Machine) Kept(ctx context.Context) ([]target.Kept, error) {
	text, err := m.ask(ctx, nil, "kept", m.Owner())
	if err != nil {
		return nil, fmt.Errorf("list what is kept: %w", err)
	}
	var all []target.Kept
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || checkUnit(path.Base(f[3])) != nil {
			continue // it was removed meanwhile, or is none of ours
		}
		kilobytes, _ := strconv.ParseInt(f[1], 10, 64)
		all = append(all, target.Kept{What: target.What(f[0]), Name: path.Base(f[3]), Bytes: kilobytes << 10, Used: clock(f[2]), Users: f[4:]})
	}
	return all, nil
}

// Unmark removes the marks of all ranks of a job that were cleaned before a time, and
// reports whether there were any.
func (m *Machine) Unmark(ctx context.Context, id string, before time.Time) (bool, error) {
	if err := checkUnit(id); err != nil {
		return false, err
	}
	text, err := m.short(ctx, "unmark", id, strconv.FormatInt(before.Unix(), 10))
	return text != "", err
}

// Unequip removes an environment that no unit uses and none has asked for since before,
// and reports whether it did.
func (m *Machine) Unequip(ctx context.Context, digest string, before time.Time) (bool, error) {
	if err := checkUnit(digest); err != nil {
		return false, err
	}
	text, err := m.ask(ctx, nil, "unequip", digest, strconv.FormatInt(before.Unix(), 10))
	return text != "", err
}

// ForgetContent removes a content that no job has used since before, and reports whether it did.
func (m *Machine) ForgetContent(ctx context.Context, name string, before time.Time) (bool, error) {
	if err := checkUnit(name); err != nil {
		return false, err
	}
	text, err := m.short(ctx, "forget", name, strconv.FormatInt(before.Unix(), 10))
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
		for i, user := range k.Users {
			k.Users[i], _, _ = strings.Cut(user, "+")
		}
		k.Name, _, _ = strings.Cut(k.Name, "+")
		i, ok := at[thing{k.What, k.Name}]
		if !ok {
			at[thing{k.What, k.Name}] = len(all)
			all = append(all, k)
			continue
		}
		all[i].Bytes += k.Bytes
		all[i].Users = append(all[i].Users, k.Users...)
		if k.Used.After(all[i].Used) {
			all[i].Used = k.Used
		}
	}
	return all
}
