// Package slurm runs jobs on clusters whose nodes are lent by Slurm.
//
//	targets:
//	  hpc:  { kind: slurm, shared_dir: /scratch/ml/amlflow, partition: gpu, gres: "gpu:1" }
//	  away: { kind: slurm, shared_dir: /scratch/ml/amlflow, via: { host: login.example.org, user: ml } }
//
// A job is a folder on a disk that all nodes share, see package remote, and a job of Slurm
// whose batch script supervises it on its node: tool/node.sh. Slurm only lends nodes: that
// a job is started at most once, and how it has ended, is written in its folder, by the
// node. What Slurm says of a job counts where the folder cannot tell: why it waits, and
// why it ended without a word.
package slurm

import (
	"context"
	"embed"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

//go:embed settings.schema.json
var settingsSchema []byte

//go:embed tool/*.sh
var toolFiles embed.FS

// verbs are those that the tool has here beside its own.
var verbs = sync.OnceValue(func() string {
	var all strings.Builder
	for _, name := range []string{"node", "queue", "held"} {
		text, err := toolFiles.ReadFile("tool/" + name + ".sh")
		if err != nil {
			panic(err) // a mistake of ours, which no build gets past its tests with
		}
		all.Write(text)
	}
	return all.String()
})

// Driver runs jobs through Slurm. It keeps connections, and what a queue looked like a
// moment ago, and nothing that counts.
type Driver struct {
	mu       *sync.Mutex         // of clusters, which never shrink: a workspace has few
	clusters map[string]*cluster // by the settings that say where it is
	turns    *remote.Turns
	owner    func() string // names the state folder; nil: nobody in particular
}

var _ target.Driver = Driver{}

// New returns a driver without connections.
func New() Driver {
	return Driver{mu: &sync.Mutex{}, clusters: map[string]*cluster{}, turns: remote.NewTurns()}
}

// Owned is this driver for the state folder that owner names, in letters and digits: of what
// is kept in shared folders it knows its own things.
func (d Driver) Owned(owner func() string) Driver {
	d.owner = owner
	return d
}

// Kind implements target.Driver.
func (Driver) Kind() target.Kind {
	return target.Kind{Name: "slurm", Summary: "clusters whose nodes are lent by Slurm", Settings: settingsSchema, Afar: true}
}

// Can implements target.Driver.
func (Driver) Can(t target.Target) target.Can {
	s, err := readSettings(t)
	if err != nil {
		return target.Can{Nodes: 1}
	}
	return target.Can{Nodes: s.Nodes, GPU: true, Launch: true, Python: true, Checkpoints: true, Memory: target.HoldMaybe, CPUs: target.HoldMaybe}
}

// Check implements target.Driver. It asks Slurm whether it would queue a small job.
func (d Driver) Check(ctx context.Context, t target.Target) error {
	c, err := d.cluster(t)
	if err != nil {
		return err
	}
	if _, err := c.Greet(ctx); err != nil {
		return c.blame(err)
	}
	_, err = c.call(ctx, lines(c.settings.options()...), "probe")
	return err
}

// cluster is one cluster as a target sees it: where jobs are submitted, and their folders.
type cluster struct {
	*remote.Machine
	settings settings
	name     string // of the target
	queue    *queue
	muster   *muster
}

// cluster returns the cluster of a target. The connection and the queue are always the same
// ones for the same place.
func (d Driver) cluster(t target.Target) (*cluster, error) {
	s, err := readSettings(t)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := s.place()
	if d.clusters[key] == nil {
		shell, err := s.shell(t.Name)
		if err != nil {
			return nil, err
		}
		m := remote.NewWith(shell, s.SharedDir, verbs())
		if d.owner != nil {
			m.Own(d.owner())
		}
		d.clusters[key] = &cluster{Machine: m, queue: newQueue(), muster: newMuster()}
	}
	known := d.clusters[key]
	return &cluster{Machine: known.Machine, settings: s, name: t.Name, queue: known.queue, muster: known.muster}, nil
}

func (c *cluster) blame(err error) error { return fmt.Errorf("target %q: %w", c.name, err) }

// call runs a verb of tool/queue.sh.
func (c *cluster) call(ctx context.Context, more func(io.Writer) error, verb string, args ...string) (string, error) {
	text, err := c.Call(ctx, func(w io.Writer) error {
		if _, err := io.WriteString(w, c.settings.Conf+"\n"+c.settings.Bin+"\n"); err != nil || more == nil {
			return err
		}
		return more(w)
	}, verb, args...)
	if err != nil {
		return text, c.blame(explain(err))
	}
	return text, nil
}

// lines writes texts, each on a line of its own.
func lines(texts ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, text := range texts {
			if _, err := io.WriteString(w, text+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
}
