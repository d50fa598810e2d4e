// Package cluster runs jobs on nodes that are made when jobs wait, and let go when nobody
// needs them.
//
//	targets:
//	  training:
//	    kind: cluster
//	    nodes: { min: 0, max: 4, idle: 2m }
//	    node: { cpus: 2, memory: 4Gi }
//	    provider: { kind: local }
//
// What is known of a cluster is one file, which is written whole and in one go by whoever
// holds the lock beside it:
//
//	clusters/<name>/state.json   nodes, queue, and why it grew or shrank; see package schedule
//	clusters/<name>/lock         held during a pass: look, decide, write, act
//	clusters/<name>/nodes/       what the provider local keeps of its nodes
//	jobs/ envs/ cleaned/ …       the jobs of all clusters, as in package local
//	far/<id>.json                which hosts, or holds of Slurm, a job has that runs on other machines
//	shares/                      other folders in which clusters are kept that several state folders share
//
// A cluster of a single run is in clusters/<name>.run.<run>, see lifetime.go.
//
// A job is laid out when it is submitted, and started when it is given nodes. Package
// schedule decides, and what it decides is durable before anything is done about it; what
// is to be done follows from the file, and may be done again. So a pass may die at any
// point, and the next one, by whatever process, goes on. Passes are made by whoever
// submits, cancels or looks, and by the background server every few seconds.
//
// The values of secrets are in no file. They stay in the memory of the process that a job
// was submitted to, and a job whose process has died waits until it is submitted again,
// which whoever follows it does. So it is with all of a job that goes to another machine
// (the providers ssh and slurm, see far.go): it cannot be laid out before it is known where.
package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/slurm"
	"github.com/amlflow/amlflow/workers/ssh"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

//go:embed settings.schema.json
var settingsSchema []byte

// Driver runs jobs on clusters that are kept in one folder.
type Driver struct {
	dir     string
	shared  string // the own folder, when dir is one of several state folders
	shares  provider
	jobs    local.Driver
	ssh     ssh.Driver
	slurm   slurm.Driver
	flights *flights
	memory  *memory
}

var _ target.Driver = Driver{}

// New returns a driver for the clusters in the folder dir, an absolute path, whose jobs
// log to t; nil: to nobody.
func New(dir string, t *tracking.Service) Driver {
	return Driver{dir: dir, shares: shares{free: freeMemory}, jobs: local.Driver{Dir: dir, Tracking: t, Deals: true}, ssh: ssh.New().Listed(), slurm: slurm.New(), flights: newFlights(), memory: newMemory()}
}

// Kind implements target.Driver.
func (Driver) Kind() target.Kind {
	return target.Kind{Name: "cluster", Summary: "nodes that come when jobs wait, and go when nobody needs them", Settings: settingsSchema}
}

// Can implements target.Driver.
func (Driver) Can(t target.Target) target.Can {
	s, err := readSettings(t)
	if err != nil {
		s.Nodes.Max = 1
	}
	return target.Can{Nodes: s.Nodes.Max, GPU: s.Node.GPUs > 0, Launch: true, Python: true, Manage: true, Checkpoints: true, Memory: target.HoldMaybe, CPUs: target.HoldMaybe}
}

var _ target.Judge = Driver{}

// Judge implements target.Judge.
func (Driver) Judge(t target.Target) error {
	if err := mistakable(t.Name); err != nil {
		return err
	}
	_, err := readSettings(t)
	return err
}

// Check implements target.Driver.
func (d Driver) Check(ctx context.Context, t target.Target) error {
	d = d.in(t)
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if d.shared != "" {
		if err := d.own(t.Name); err != nil {
			return err
		}
	}
	switch s.kind {
	case providerSSH:
		err = d.reachable(ctx, t, s)
	case providerSlurm:
		err = d.slurm.Check(ctx, s.reach(t.Name))
	default:
		err = d.jobs.Check(ctx, s.place(t.Name))
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.place(t.Name).nodes(), 0o700); err != nil {
		return fmt.Errorf("nodes cannot be kept in %q: make the folder writable, or choose another state folder: %w", d.dir, err)
	}
	_, err = d.place(t.Name).read()
	return err
}

// place is the folder of one cluster.
type place string

func (d Driver) place(name string) place { return place(filepath.Join(d.dir, "clusters", name)) }

func (p place) lock() string  { return filepath.Join(string(p), "lock") }
func (p place) nodes() string { return filepath.Join(string(p), "nodes") }

// places lists the clusters that were used.
func (d Driver) places() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "clusters"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && target.ValidID(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}
