package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// hosts is the provider ssh: a node is a machine that is there anyway, for as long as the
// cluster has it. Its folder says which one, and that it has answered:
//
//	nodes/<node>/host   its name, as the target lists it
//	nodes/<node>/here   it was greeted: the node is there
//
// A machine that stops answering later is still there: its job may be running, and goes on
// when the connection is back. Whoever removes the folder takes the node away.
type hosts struct {
	d Driver
	t target.Target
	s settings
}

const (
	hostFile = "host"
	hereFile = "here"
)

// provider is where the nodes of a cluster come from.
func (d Driver) provider(t target.Target, s settings) provider {
	switch s.kind {
	case providerSSH:
		return hosts{d, t, s}
	case providerSlurm:
		return loans{d, t, s}
	}
	return d.shares
}

// hostOf is the host that a node is.
func (p place) hostOf(node string) (string, error) {
	text, err := os.ReadFile(filepath.Join(p.nodes(), node, hostFile))
	return string(text), err
}

// made lists the nodes that have a folder.
func (p place) made() ([]string, error) {
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

func (hosts) list(_ context.Context, p place) ([]string, error) {
	names, err := p.made()
	return slices.DeleteFunc(names, func(node string) bool {
		_, err := os.Stat(filepath.Join(p.nodes(), node, hereFile))
		return err != nil
	}), err
}

// make chooses a host, and has it greeted; what is wrong with that is told the next time.
func (h hosts) make(_ context.Context, p place, node string) error {
	host, err := p.hostOf(node)
	if errors.Is(err, fs.ErrNotExist) {
		host, err = h.choose(p, node)
	}
	if err != nil {
		return err
	}
	return h.d.flights.begin("greet "+node+" "+host+" "+string(p), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, greeting)
		defer cancel()
		if err := h.d.ssh.Check(ctx, h.s.reach(h.t.Name, host)); err != nil {
			h.away(p, node, host)
			return err
		}
		dir := filepath.Join(p.nodes(), node)
		if err := jobdir.WriteDurable(dir, hereFile, []byte(time.Now().UTC().Format(time.RFC3339)+"\n")); err != nil {
			return ignoreMissing(err) // it was given back meanwhile
		}
		return h.d.over(ctx, h.t, nil)
	})
}

// greeting bounds how long a host may take to answer.
const greeting = 30 * time.Second

// choose takes the first host that no node is, and rather one that has not failed to answer.
func (h hosts) choose(p place, node string) (string, error) {
	names, err := p.made()
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, name := range names {
		if host, err := p.hostOf(name); err == nil {
			taken[host] = true
		}
	}
	free := slices.DeleteFunc(slices.Clone(h.s.hosts), func(host string) bool { return taken[host] })
	if len(free) == 0 {
		return "", errors.New("no host is free for another node")
	}
	away := h.d.flights.away(string(p))
	slices.SortStableFunc(free, func(a, b string) int { return away[a].Compare(away[b]) })
	dir := filepath.Join(p.nodes(), node)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return free[0], jobdir.WriteDurable(dir, hostFile, []byte(free[0]))
}

// away lets a node be another host than one that does not answer.
func (h hosts) away(p place, node, host string) {
	h.d.flights.leave(string(p), host)
	_ = os.Remove(filepath.Join(p.nodes(), node, hostFile))
}

func (hosts) remove(_ context.Context, p place, node string) error {
	return os.RemoveAll(filepath.Join(p.nodes(), node))
}

// wanted implements provider: nobody wants machines back that were lent for good.
func (hosts) wanted(bool) string { return "" }

// reachable fails when no host of a target answers: one that does is enough to begin.
func (d Driver) reachable(ctx context.Context, t target.Target, s settings) error {
	errs := make([]error, len(s.hosts))
	var all sync.WaitGroup
	for i, host := range s.hosts {
		all.Go(func() { errs[i] = d.ssh.Check(ctx, s.reach(t.Name, host)) })
	}
	all.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	return fmt.Errorf("no host of target %q answers: %w", t.Name, errors.Join(errs...))
}

var _ target.Introducer = Driver{}

// Introduce implements target.Introducer: hosts show their keys as those of a target of
// kind ssh do.
func (d Driver) Introduce(ctx context.Context, t target.Target) ([]target.Introduction, error) {
	s, err := readSettings(t)
	if err != nil || s.kind != providerSSH {
		return nil, err
	}
	return d.ssh.Introduce(ctx, s.reach(t.Name, s.hosts...))
}

// Confirm implements target.Introducer.
func (d Driver) Confirm(ctx context.Context, t target.Target, all []target.Introduction) error {
	s, err := readSettings(t)
	if err != nil || s.kind != providerSSH {
		return err
	}
	return d.ssh.Confirm(ctx, s.reach(t.Name, s.hosts...), all)
}

// coming implements provider.
func (hosts) coming(place) string { return "" }
