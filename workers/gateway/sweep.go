package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// keepEnded is how many deployments that are over are remembered per endpoint.
const keepEnded = 20

// leftFile says why the processes of a deployment that is to end are still there.
const leftFile = "left.json"

type left struct {
	Reason string `json:"reason"`
}

// sweep ends the processes of a deployment beside the loop, once. v is its
// version when requests may still be on their way to it.
func (g *gateway) sweep(ctx context.Context, e *endpoint, d deployment, v *version) {
	if e.sweeping[d.ID] || e.trial != nil && e.trial.version.ID == d.ID {
		return
	}
	e.sweeping[d.ID] = true
	g.beside(ctx, func() (then func()) {
		if v != nil {
			v.drain(ctx)
			v.release()
			g.meters.drop(v.meter, g.log)
		}
		err := ctx.Err()
		if err == nil {
			err = g.remove(ctx, d)
		}
		if err != nil && ctx.Err() == nil {
			g.log.Error("end a deployment", "endpoint", e.name, "deployment", d.ID, "error", err)
			_ = writeQuick(d.dir, leftFile, left{Reason: err.Error()})
			pause := time.Second
			if errors.Is(err, target.ErrUnreachable) {
				pause = tidyEvery
			}
			_ = sleep(ctx, pause) // the loop tries again
		}
		return func() { delete(e.sweeping, d.ID) }
	})
}

// remove ends what is left of a deployment; of a retired one nothing stays.
func (g *gateway) remove(ctx context.Context, d deployment) error {
	if !d.swept {
		m, err := g.maker(&d, &g.ports)
		if err != nil {
			return err
		}
		if err := d.sweep(ctx, m); err != nil {
			return err
		}
	}
	if !exists(d.dir, retiredFile) {
		return nil
	}
	return g.locked(ctx, wishesLock, func() error {
		if err := g.discard(d); err != nil {
			return err
		}
		home := filepath.Dir(filepath.Dir(d.dir))
		// They go only when they are empty: a new wish may have come.
		_ = os.Remove(filepath.Join(home, "deployments"))
		_ = os.Remove(home)
		return nil
	})
}

// prune forgets the oldest deployments that are over.
func (g *gateway) prune(h history) error {
	var over history
	for _, d := range h {
		if d.swept && !d.retired && d.end != nil {
			over = append(over, d)
		}
	}
	for _, d := range over[:max(0, len(over)-keepEnded)] {
		if err := g.discard(d); err != nil {
			return err
		}
	}
	return nil
}

// discard removes the folder of a deployment in one step, so that no half of it
// is ever taken for a whole.
func (f Folder) discard(d deployment) error {
	trash := f.path("making", ".gone-"+d.ID)
	if err := jobdir.RemoveTree(trash); err != nil {
		return err
	}
	if err := os.Rename(d.dir, trash); err != nil {
		return err
	}
	return jobdir.RemoveTree(trash)
}

// sweep ends all processes of the deployment, whoever started them, and removes
// what only they needed. It may be called again.
func (d *deployment) sweep(ctx context.Context, m maker) error {
	all, err := d.allLives()
	if err != nil {
		return err
	}
	finished := make(chan error)
	for _, l := range all {
		go func() { finished <- finish(ctx, m, l) }()
	}
	for range all {
		if e := <-finished; e != nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", d.ID, err)
	}
	for _, name := range []string{codeDir, modelPath, contentsDir} {
		if err := jobdir.RemoveTree(filepath.Join(d.dir, name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(d.dir, sweptFile), nil, 0o600)
}

// allLives are those of all instances, also of those that have no record any more.
func (d *deployment) allLives() (all []life, err error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, instancesDir))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		lives, err := d.lives(n)
		if err != nil {
			return nil, err
		}
		all = append(all, lives...)
	}
	return all, nil
}
