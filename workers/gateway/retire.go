package gateway

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Withdraw gives up the deployment with this id unless it is live.
// See target.Server.
func (f Folder) Withdraw(ctx context.Context, id string) error {
	err := f.locked(ctx, wishesLock, func() error {
		d, ok, err := f.find(id)
		if err != nil || !ok || !d.pending() {
			return err
		}
		return conclude(d.dir, end{State: target.Cancelled, Reason: "withdrawn"})
	})
	if err != nil {
		return fmt.Errorf("withdraw %q: %w", id, err)
	}
	return f.ensure(ctx)
}

// patience is how long Retire waits for the processes to end. Longer would help
// nobody: the wish is recorded, and a gateway sees to it.
const patience = 15 * time.Second

// Retire stops the endpoint of this name on the target and removes it; its
// processes are found by their folders, whoever started them. It waits a while
// for the end of the requests that are being answered. See target.Server.
func (f Folder) Retire(ctx context.Context, on, name string) error {
	if !validName(name) {
		return nil
	}
	var marked []string
	err := f.locked(ctx, wishesLock, func() error {
		h, r, err := f.records(name)
		if err != nil {
			return err
		}
		if len(h.current()) > 0 && h[0].Target == on {
			r.remember(h)
			r.Split = nil
			if err := f.removeKeys(name); err != nil {
				return err
			}
			r.note(target.Change{What: "retire", Why: "the endpoint was removed"})
			if err := f.writeRouting(name, &r); err != nil {
				return err
			}
		}
		for _, d := range h {
			if d.Target != on {
				return nil
			}
			if err := f.entomb(d); err != nil {
				return err
			}
			marked = append(marked, d.dir)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("retire %q: %w", name, err)
	}
	if err := f.ensure(ctx); err != nil || f.Start == nil {
		return err
	}
	if err := f.awaitGone(ctx, marked); err != nil {
		return fmt.Errorf("retire %q: %w", name, err)
	}
	return nil
}

// entomb makes sure that the deployment ends, and never comes again by a late
// repetition of the Deploy that brought it.
func (f Folder) entomb(d deployment) error {
	if err := os.MkdirAll(f.path("gone"), 0o700); err != nil {
		return err
	}
	if err := writeDurable(f.path("gone"), d.ID, nil); err != nil {
		return err
	}
	return writeDurable(d.dir, retiredFile, time.Now())
}

func (f Folder) awaitGone(ctx context.Context, dirs []string) error {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, dir := range dirs {
		for exists(dir, "") && limit.Err() == nil {
			_ = sleep(limit, 10*time.Millisecond)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, dir := range dirs {
		var l left
		if readJSON(dir, leftFile, &l) == nil {
			return fmt.Errorf("its removal is on record, and the gateway goes on trying: %s", l.Reason)
		}
	}
	if limit.Err() != nil {
		return nil
	}
	// Their endpoint goes under the same lock as the last of them.
	return f.locked(ctx, wishesLock, func() error { return nil })
}
