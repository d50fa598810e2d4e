// Package ssh runs jobs on machines that are reached over SSH and on which amlflow is
// not installed.
//
//	targets:
//	  gpu:  { kind: ssh, host: gpu-1.example.org, user: ml }
//	  farm: { kind: ssh, hosts: [node-1, node-2], jump: [gate.example.org], workdir: /scratch/amlflow }
//
// A job is a folder on its host, see package remote; one of N nodes is a folder on each
// of N hosts. Which hosts follows from the id of the job and the list of hosts, so that
// whoever knows these finds it again. When the host of a job cannot be reached there is
// no other that may run it: it may be running there. Calls fail with
// target.ErrUnreachable then, and the job goes on.
package ssh

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

//go:embed settings.schema.json
var settingsSchema []byte

// Driver runs jobs over SSH. It has one connection to each host.
type Driver struct {
	gateway.Service
	mu       *sync.Mutex                // of the maps, which never shrink: a workspace has few hosts
	links    map[string]*link           // by the way to the host, and the work folder there
	machines map[string]*remote.Machine // by the same
	turns    *remote.Turns
	waiting  *waiting
	owner    func() string // names the state folder; nil: nobody in particular
	listed   bool          // see Listed
}

var _ target.Driver = Driver{}

// New returns a driver without connections.
func New() Driver {
	return Driver{mu: &sync.Mutex{}, links: map[string]*link{}, machines: map[string]*remote.Machine{}, turns: remote.NewTurns(), waiting: newWaiting()}
}

// Listed is this driver for targets that were made for one job each: its ranks take the
// hosts in the order in which the target lists them.
func (d Driver) Listed() Driver {
	d.listed = true
	return d
}

// Owned is this driver for the state folder that owner names, in letters and digits: of what
// hosts keep it knows its own things.
func (d Driver) Owned(owner func() string) Driver {
	d.owner = owner
	return d
}

// Kind implements target.Driver.
func (Driver) Kind() target.Kind {
	return target.Kind{Name: "ssh", Summary: "machines that are reached over SSH", Settings: settingsSchema, Afar: true}
}

// Can implements target.Driver.
func (d Driver) Can(t target.Target) target.Can {
	s, err := readSettings(t)
	if err != nil {
		return target.Can{Nodes: 1, Serve: d.Serves(), Route: d.Serves()}
	}
	return target.Can{Nodes: len(s.Hosts), GPU: s.GPUs > 0, Launch: true, Python: true, Checkpoints: true, Serve: d.Serves(), Route: d.Serves(), Memory: target.HoldAlways, CPUs: target.HoldMaybe}
}

// Check implements target.Driver. It greets every host.
func (d Driver) Check(ctx context.Context, t target.Target) error {
	hosts, err := d.hosts(t)
	if err != nil {
		return err
	}
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	errs := make([]error, len(hosts))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			_, err := h.Greet(ctx)
			if err == nil {
				err = s.lends(ctx, h)
			}
			if err != nil {
				errs[i] = h.blame(err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// host is one machine of a target.
type host struct {
	*remote.Machine
	link *link
	name string // as the target says it
	addr string // where other hosts find it
}

func (h host) blame(err error) error { return fmt.Errorf("host %q: %w", h.name, err) }

// hosts returns the machines of a target, in the order in which it lists them.
func (d Driver) hosts(t target.Target) ([]host, error) {
	s, err := readSettings(t)
	if err != nil {
		return nil, err
	}
	all := make([]host, len(s.Hosts))
	for i, name := range s.Hosts {
		way, err := s.route(name)
		if err != nil {
			return nil, fmt.Errorf("target %q, host %q: %w: %w", t.Name, name, err, target.ErrPermanent)
		}
		m, l := d.machine(way, s.Workdir)
		all[i] = host{Machine: m, link: l, name: name, addr: way.last().Host}
	}
	return all, nil
}

// machine returns the machine at the end of a way, always the same one. Each has a
// connection of its own, so that none waits for the sessions of another.
func (d Driver) machine(way route, dir string) (*remote.Machine, *link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := way.key() + "\n" + dir
	if d.machines[key] == nil {
		d.links[key] = newLink(way)
		d.machines[key] = remote.New(d.links[key], dir)
		if d.owner != nil {
			d.machines[key].Own(d.owner())
		}
	}
	return d.machines[key], d.links[key]
}

// place returns the hosts of a target in the order in which they take the ranks of a job.
// The order depends on nothing but the names and the id, and changes little when a host
// is added (rendezvous hashing).
func (d Driver) place(t target.Target, id string) ([]host, error) {
	if !target.ValidID(id) {
		return nil, fmt.Errorf("%q cannot name a job: use lower-case letters, digits and . _ - and at most 200 of them: %w", id, target.ErrPermanent)
	}
	hosts, err := d.hosts(t)
	if err != nil || d.listed {
		return hosts, err
	}
	slices.SortFunc(hosts, func(a, b host) int {
		x, y := weight(a.name, id), weight(b.name, id)
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return hosts, nil
}

func weight(host, id string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\n%s", host, id)
	sum := h.Sum64() // neighbours differ in the low bits alone: mix them (splitmix64)
	sum = (sum ^ sum>>30) * 0xbf58476d1ce4e5b9
	sum = (sum ^ sum>>27) * 0x94d049bb133111eb
	return sum ^ sum>>31
}

// NewShell returns a way to run scripts on the one machine that settings name, which are
// those of a target of kind ssh, for drivers of places that are reached through it. name
// is that of the target, for errors.
func NewShell(name string, text json.RawMessage) (remote.Shell, error) {
	s, err := readSettings(target.Target{Name: name, Settings: text})
	if err != nil {
		return nil, err
	}
	if len(s.Hosts) > 1 {
		return nil, fmt.Errorf("target %q is reached through one machine, not through %d: %w", name, len(s.Hosts), target.ErrPermanent)
	}
	way, err := s.route(s.Hosts[0])
	if err != nil {
		return nil, fmt.Errorf("target %q, host %q: %w: %w", name, s.Hosts[0], err, target.ErrPermanent)
	}
	return newLink(way), nil
}

// Close ends all connections. Jobs go on.
func (d Driver) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.links {
		if c := l.current(); c != nil {
			l.forget(c)
		}
	}
}
