package ssh

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Submit implements target.Driver. First the folders of all ranks are laid out, then all
// are started: what cannot be delivered starts nothing.
func (d Driver) Submit(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	hosts, err := d.place(t, job.ID)
	if err != nil {
		return err
	}
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	r, err := s.newRecord(t, job)
	if err != nil {
		return err
	}
	leave, err := d.turns.Take(ctx, job.ID)
	if err != nil {
		return err
	}
	defer leave()
	sub := submission{nodes: hosts[:r.Nodes], hosts: r.seats(hosts), record: r, job: job, in: in, lends: s.GPUs > 0, log: int64(s.Log), waiting: d.waiting}
	switch err := sub.do(ctx); {
	case err == nil:
		return nil
	case sub.launched:
		return fmt.Errorf("submit job %q: %w", job.ID, err)
	default:
		return fmt.Errorf("submit job %q: %w", job.ID, target.Untouched(err))
	}
}

// Vet reports why a target can never run a job, without asking any host.
func (Driver) Vet(t target.Target, job target.Job) error {
	s, err := readSettings(t)
	if err == nil {
		_, err = s.newRecord(t, job)
	}
	return err
}

// newRecord checks a job against the target.
func (s settings) newRecord(t target.Target, job target.Job) (record, error) {
	if err := job.Check(); err != nil {
		return record{}, err
	}
	if e := job.Environment; e != nil && e.Image != "" {
		return record{}, fmt.Errorf("job %q: target %q runs no container images, and it is to use %q: choose a target that does: %w", job.ID, t.Name, e.Image, target.ErrPermanent)
	}
	nodes, err := s.grant(t.Name, job.Needs)
	if err != nil {
		return record{}, err
	}
	if n := job.Ranks(); n > mostRanks {
		return record{}, fmt.Errorf("job %q has %d ranks, and target %q starts at most %d: ask for fewer nodes or processes: %w", job.ID, n, t.Name, mostRanks, target.ErrPermanent)
	}
	r := record{Nodes: nodes, Ranks: job.Ranks(), Each: job.PerNode(), Master: "127.0.0.1", Port: somePort(), Timeout: job.Timeout, Program: s.Shell, Script: true, Outputs: job.Outputs, Checkpoint: job.Checkpoint, GPUs: job.Needs.GPUs, Secrets: len(job.Secrets) > 0}
	if r.GPUs > 0 {
		r.Of = s.GPUs
	}
	if len(job.Command) > 0 {
		r.Program, r.Script = job.Command[0], false
	}
	n := int64(1) // mpirun starts the others in the limits of the first
	if job.Ranks() > 1 {
		n = int64(job.PerNode())
	}
	r.Memory, r.CPUs = job.Needs.Memory/n, job.Needs.CPUs/float64(n)
	return r, nil
}

// mostRanks bounds what is started one after the other.
const mostRanks = 1024

// submission is one call of Submit.
type submission struct {
	nodes  []host // by node
	hosts  []host // by rank
	record record
	job    target.Job
	in     target.Blobs
	lends  bool  // the hosts lend GPUs
	log    int64 // how much of a log is kept
	// waiting are the jobs that wait for some.
	waiting *waiting

	launched bool // something may have been started
}

func (s *submission) do(ctx context.Context) error {
	stages := make([]remote.Stage, len(s.hosts))
	for n := range stages {
		var err error
		if stages[n], err = s.lay(ctx, n); err != nil {
			return s.hosts[n].blame(err)
		}
		if stages[n] == remote.Stopped || stages[n] == remote.Cleaned {
			return nil
		}
	}
	if stages[0] == remote.Sealed {
		if err := s.reaches(ctx); err != nil {
			return err
		}
	}
	if s.record.GPUs > 0 {
		s.launched = true
		s.waiting.confide(s.job.ID, s.job.Secrets)
		_, err := s.waiting.start(ctx, s.job.ID, s.record, s.nodes, s.hosts)
		return err
	}
	for n, stage := range stages {
		if stage == remote.Started {
			s.launched = true
			continue
		}
		if stop, err := s.given(ctx, n); stop || err != nil {
			return err
		}
		s.launched = true
		if err := s.hosts[n].Launch(ctx, remote.Unit(s.job.ID, n), variables(s.job.Secrets)); err != nil {
			return s.hosts[n].blame(err)
		}
	}
	return nil
}

// given reports whether the job was given up before rank n was started. A Cancel that
// came before this look has marked rank 0; one that comes after it finds the record, and
// marks this rank, too.
func (s *submission) given(ctx context.Context, n int) (bool, error) {
	if n == 0 {
		return false, nil // whoever launches it looks
	}
	up, err := s.hosts[0].Stopping(ctx, remote.Unit(s.job.ID, 0))
	if err != nil {
		return false, s.hosts[0].blame(err)
	}
	return up, nil
}

// lay lays out the folder of rank n, unless that was done. Rank 0 decides, for all calls
// and all ranks, what is known of the job.
func (s *submission) lay(ctx context.Context, n int) (remote.Stage, error) {
	h, unit := s.hosts[n], remote.Unit(s.job.ID, n)
	stage, err := h.Begin(ctx, unit)
	if err != nil {
		return stage, err
	}
	if stage == remote.Unfilled {
		if n == 0 && len(s.hosts) > 1 {
			if len(s.nodes) > 1 {
				s.record.Master = h.addr
			}
			if s.record.Port, err = h.Port(ctx, s.record.Port); err != nil {
				return stage, err
			}
		}
		if err := s.fill(ctx, n); err != nil {
			return stage, err
		}
		stage = remote.Sealed
	}
	if n > 0 || len(s.hosts) == 1 {
		return stage, nil
	}
	old, ok, err := recordOf(ctx, h, s.job.ID)
	if ok {
		s.record.Master, s.record.Port = old.Master, old.Port
	}
	return stage, err
}

func (s *submission) fill(ctx context.Context, n int) error {
	h := s.hosts[n]
	facts, err := h.Facts(ctx)
	if err != nil {
		return err
	}
	venv := ""
	if e := s.job.Environment; e != nil && e.Python != nil {
		if venv, err = h.Python(ctx, *e.Python); err != nil {
			return err
		}
	}
	return h.Fill(ctx, remote.Unit(s.job.ID, n), func(dir string) (remote.Layout, error) {
		env := environ(facts, s.job, venv, ranks.Place{Dir: dir, Inputs: path.Join(dir, "in"), Rank: n, World: len(s.hosts), Master: s.record.Master, Port: s.record.Port, Hosts: s.addresses()})
		// A job that asks for none sees none: they are lent to others. An instance of an
		// endpoint sees all.
		if _, said := s.job.Env[visible]; s.lends && s.record.GPUs == 0 && s.job.Port == 0 && !said {
			env[visible] = ""
		}
		s.record.Path = env["PATH"]
		return remote.Layout{
			Process:    jobdir.Process{Argv: s.argv(dir), Env: variables(env), Secrets: variables(s.job.Secrets), Work: path.Join(dir, "code"), Memory: s.record.Memory, CPUs: s.record.CPUs},
			Script:     s.job.Script,
			HostFile:   s.hostFile(),
			Code:       s.job.Code,
			Inputs:     s.job.Inputs,
			Outputs:    s.job.Outputs,
			Checkpoint: s.job.Checkpoint,
			Venv:       venv,
			Timeout:    s.job.Timeout,
			Grace:      s.job.Grace,
			Log:        s.log,
			Tracks:     tracking.Free(s.job),
			Owner:      s.owner(h),
			Record:     s.record,
		}, nil
	}, s.in)
}

// owner is whose leftovers those of the job are. An instance of an endpoint is looked after
// by the gateway.
func (s *submission) owner(h host) string {
	if s.job.Port > 0 {
		return ""
	}
	return h.Owner()
}

// addresses are where the nodes find each other.
func (s *submission) addresses() []string {
	if len(s.nodes) == 1 {
		return []string{s.record.Master}
	}
	var all []string
	for _, h := range s.nodes {
		all = append(all, h.addr)
	}
	return all
}

// hostFile is what mpirun reads, of a job that is launched by it.
func (s *submission) hostFile() string {
	if l := s.job.Launch; l == nil || l.Kind != target.LaunchMPI {
		return ""
	}
	return ranks.Hosts(s.job, s.addresses())
}

func (s *submission) argv(dir string) []string {
	if len(s.job.Command) > 0 {
		return s.job.Command
	}
	return []string{s.record.Program, "-e", path.Join(dir, remote.ScriptFile)}
}

// environ is all that a rank sees: built from nothing, in three layers, of which a later
// one wins. The first is what the user has on the host. Around them comes the Python
// environment.
func environ(facts remote.Facts, job target.Job, venv string, p ranks.Place) map[string]string {
	env := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"}
	maps.Copy(env, facts.Env)
	maps.Copy(env, ranks.Environ(job, p))
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
