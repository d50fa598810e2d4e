package slurm

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Submit implements target.Driver. The folders of all ranks are laid out, then Slurm is
// asked to queue the job. What runs twice of it, on whatever side, finds the other in the
// folder; and should Slurm be made to queue it twice, the second job finds it started.
func (d Driver) Submit(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	c, err := d.cluster(t)
	if err != nil {
		return err
	}
	r, err := c.newRecord(job)
	if err != nil {
		return err
	}
	leave, err := d.turns.Take(ctx, c.settings.place()+"\n"+job.ID)
	if err != nil {
		return err
	}
	defer leave()
	confided := append(jobdir.Process{Secrets: variables(job.Secrets)}.Confided(), "# whole\n"...)
	one := &recruit{id: job.ID, name: arrayName(job.ID), ranks: r.Ranks, each: job.PerNode(), launcher: launcher(job), options: c.settings.request(job), confided: confided, done: make(chan error, 1)}
	key := one.alike()
	gone := c.muster.expect(key)
	defer gone()
	for n := range r.Ranks {
		stage, err := c.lay(ctx, r, job, n, in)
		if err != nil {
			return fmt.Errorf("submit job %q: %w", job.ID, target.Untouched(c.blame(err)))
		}
		if n == 0 && (stage == remote.Stopped || stage == remote.Cleaned || stage == remote.Started) {
			return nil
		}
	}
	if old, ok, err := c.recordOf(ctx, job.ID); err != nil {
		return err
	} else if ok {
		r.Held = old.Held // the first submission counts
		if old.Ranks != r.Ranks {
			r.Ranks, one.ranks = old.Ranks, old.Ranks
			gone()
			key = one.alike()
			gone = c.muster.expect(key)
			defer gone()
		}
	}
	if len(r.Held) > 0 {
		return c.assign(ctx, job, r)
	}
	if err := c.enqueue(ctx, key, one, gone); err != nil {
		return fmt.Errorf("submit job %q: %w", job.ID, err)
	}
	return nil
}

// launcher is how the ranks of a job begin, for tool/node.sh.
func launcher(job target.Job) string {
	if job.Launch == nil {
		return string(target.LaunchEnv)
	}
	return string(job.Launch.Kind)
}

// newRecord checks a job against the target.
func (c *cluster) newRecord(job target.Job) (record, error) {
	if err := job.Check(); err != nil {
		return record{}, err
	}
	if e := job.Environment; e != nil && e.Image != "" {
		return record{}, fmt.Errorf("job %q: target %q runs no container images, and it is to use %q: choose a target that does: %w", job.ID, c.name, e.Image, target.ErrPermanent)
	}
	nodes := job.Nodes()
	if nodes > c.settings.Nodes {
		return record{}, fmt.Errorf("target %q lends a job at most %d nodes, and job %q asks for %d: raise `nodes` of the target, or ask for fewer: %w", c.name, c.settings.Nodes, job.ID, nodes, target.ErrPermanent)
	}
	r := record{Ranks: job.Ranks(), Timeout: job.Timeout, Memory: job.Needs.Memory / int64(job.PerNode()), Program: c.settings.Shell, Script: true, Outputs: job.Outputs, Checkpoint: job.Checkpoint, Held: c.settings.Held}
	if len(job.Command) > 0 {
		r.Program, r.Script = job.Command[0], false
	}
	return r, nil
}

// lay lays out the folder of rank n, unless that was done.
func (c *cluster) lay(ctx context.Context, r record, job target.Job, n int, in target.Blobs) (remote.Stage, error) {
	unit := remote.Unit(job.ID, n)
	stage, err := c.Begin(ctx, unit)
	if err != nil || stage != remote.Unfilled {
		return stage, err
	}
	facts, err := c.Facts(ctx)
	if err != nil {
		return stage, err
	}
	venv := ""
	if e := job.Environment; e != nil && e.Python != nil {
		if venv, err = c.Python(ctx, *e.Python); err != nil {
			return stage, err
		}
	}
	err = c.Fill(ctx, unit, func(dir string) (remote.Layout, error) {
		env := environ(facts, job, venv, ranks.Place{Dir: dir, Inputs: path.Join(dir, "in"), Rank: n, World: r.Ranks, Master: "127.0.0.1", Port: somePort()})
		r.Path = env["PATH"]
		argv := job.Command
		if r.Script {
			argv = []string{r.Program, "-e", path.Join(dir, remote.ScriptFile)}
		}
		return remote.Layout{
			Process:    jobdir.Process{Argv: argv, Env: variables(env), Secrets: variables(job.Secrets), Work: path.Join(dir, "code")},
			Script:     job.Script,
			Code:       job.Code,
			Inputs:     job.Inputs,
			Outputs:    job.Outputs,
			Checkpoint: job.Checkpoint,
			Venv:       venv,
			Timeout:    job.Timeout,
			Grace:      job.Grace,
			Tracks:     tracking.Free(job),
			Owner:      c.Owner(),
			Record:     r,
		}, nil
	}, in)
	return remote.Sealed, err
}

// environ is all that a rank sees, beside what tool/node.sh lets through: built from
// nothing, in three layers, of which a later one wins. The first is what the user has where
// jobs are submitted. Where several ranks find each other is known once their nodes are lent.
func environ(facts remote.Facts, job target.Job, venv string, p ranks.Place) map[string]string {
	env := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"}
	maps.Copy(env, facts.Env)
	maps.Copy(env, ranks.Environ(job, p))
	if p.World > 1 {
		for _, name := range []string{"MASTER_ADDR", "MASTER_PORT", "TF_CONFIG"} {
			delete(env, name)
		}
	}
	maps.Copy(env, job.Env)
	if venv != "" {
		pyenv.Activate(env, venv)
	}
	if tracking.Free(job) {
		tracking.StoreEnviron(env, p.Dir)
	}
	return env
}

// variables lists env as NAME=value, in the order of the names.
func variables(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// somePort is below those that systems hand out by themselves.
func somePort() int { return 20_000 + rand.IntN(12_000) }
