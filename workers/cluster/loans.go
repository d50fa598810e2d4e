package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/slurm"
	"github.com/amlflow/amlflow/workers/target"
)

// loans is the provider slurm: a node is an allocation that Slurm lends, a hold. Its folder
// says which one, and how far it has come:
//
//	nodes/<node>/host      the name of the hold; it is put down before Slurm is asked
//	nodes/<node>/why       what it waits for, for people
//	nodes/<node>/here      it was there: the node takes jobs
//	nodes/<node>/leaving   it is to be let go, and was not yet
//
// Slurm may take long to answer, so all is asked of it in flights. One looks after all nodes
// of the cluster, and vouches for them: a hold for which nobody does gives itself back.
type loans struct {
	d Driver
	t target.Target
	s settings
}

const (
	whyFile     = "why"
	leavingFile = "leaving"
)

// list lists the nodes that were there and have not been seen to end, and those that are
// still to be let go. It also has somebody look after them.
func (l loans) list(_ context.Context, p place) ([]string, error) {
	names, err := p.made()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	_ = l.d.flights.begin("look after "+string(p), func(ctx context.Context) error { return l.look(ctx, p) })
	return slices.DeleteFunc(names, func(node string) bool {
		return !exists(filepath.Join(p.nodes(), node, hereFile)) && !exists(filepath.Join(p.nodes(), node, leavingFile))
	}), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// make puts down which hold a node will be. Whoever looks after the nodes asks for it.
func (l loans) make(_ context.Context, p place, node string) error {
	if exists(filepath.Join(p.nodes(), node, hostFile)) {
		return l.d.flights.failure("look after " + string(p))
	}
	return p.name(node)
}

// name has a node be a hold that nobody has asked for yet.
func (p place) name(node string) error {
	dir := filepath.Join(p.nodes(), node)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	cluster := filepath.Base(string(p))
	hold := strings.ToLower(cluster[:min(len(cluster), 80)] + "." + node + "." + rand.Text()[:10])
	return jobdir.WriteDurable(dir, hostFile, []byte(hold))
}

// remove lets a hold go. The folder stays until that is certain.
func (l loans) remove(_ context.Context, p place, node string) error {
	dir := filepath.Join(p.nodes(), node)
	hold, err := p.hostOf(node)
	if errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(dir) // nobody was asked
	}
	if err != nil {
		return err
	}
	if err := ignoreMissing(jobdir.WriteDurable(dir, leavingFile, nil)); err != nil {
		return err
	}
	return l.d.flights.begin("let go "+hold, func(ctx context.Context) error { return l.letGo(ctx, p, node, hold) })
}

func (l loans) letGo(ctx context.Context, p place, node, hold string) error {
	for {
		gone, err := l.d.slurm.LetGo(ctx, l.s.reach(l.t.Name), hold)
		if err != nil {
			return err
		}
		if gone {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(ending):
		}
	}
	if err := os.RemoveAll(filepath.Join(p.nodes(), node)); err != nil {
		return err
	}
	return l.d.over(ctx, l.t, nil)
}

// How often Slurm is asked: for what is about to change, and otherwise; and how often
// whether an allocation has ended that was let go.
const (
	soon   = 500 * time.Millisecond
	later  = 5 * time.Second
	ending = 300 * time.Millisecond
)

// look looks once after all nodes of a cluster: asks Slurm for those that it was not asked
// for, notices which have come and gone, and vouches for the others. It takes so long that
// Slurm is not asked too often.
func (l loans) look(ctx context.Context, p place) error {
	began := time.Now()
	names, err := p.made()
	if err != nil {
		return err
	}
	hold := map[string]string{}
	var all []string
	for _, node := range names {
		name, err := p.hostOf(node)
		if err != nil || exists(filepath.Join(p.nodes(), node, leavingFile)) {
			continue
		}
		hold[node] = name
		all = append(all, name)
	}
	how, err := l.d.slurm.Holds(ctx, l.s.reach(l.t.Name), all)
	if err != nil {
		return err
	}
	var errs []error
	pause, changed := later, false
	for _, node := range names {
		h, ok := how[hold[node]]
		if !ok {
			continue
		}
		now, err := l.notice(ctx, p, node, hold[node], h)
		errs, changed = append(errs, err), changed || now
		if !exists(filepath.Join(p.nodes(), node, hereFile)) {
			pause = soon
		}
	}
	if changed {
		errs = append(errs, l.d.over(ctx, l.t, nil))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause - time.Since(began)):
		return nil
	}
}

// notice puts down how a node is, and reports whether that changes what the cluster may do.
func (l loans) notice(ctx context.Context, p place, node, hold string, h slurm.Hold) (changed bool, err error) {
	dir := filepath.Join(p.nodes(), node)
	here := exists(filepath.Join(dir, hereFile))
	switch {
	case !h.Asked && !h.Over:
		return false, l.d.slurm.Hold(ctx, l.s.reach(l.t.Name), hold, l.s.node())
	case h.Over && here:
		// Jobs that had it must be told why before the hold is forgotten.
		left, err := l.settle(ctx, p, node)
		if err != nil {
			return false, err
		}
		if len(left) > 0 {
			return true, l.giveUp(ctx, p, node, hold, left...)
		}
		return true, l.forget(ctx, p, node, hold)
	case h.Old && here:
		return false, l.d.over(ctx, l.t, func(pass *pass) error {
			pass.cluster().Leave(node, "what holds node "+node+" is of an earlier amlflow", time.Now())
			return nil
		})
	case h.Over: // it has never come: another is asked for, if it is still wanted
		if _, err := l.d.slurm.LetGo(ctx, l.s.reach(l.t.Name), hold); err != nil {
			return false, err
		}
		if err := p.name(node); err != nil {
			return false, err
		}
		return true, p.because(node, h.Reason)
	case h.Here && !here:
		_ = os.Remove(filepath.Join(dir, whyFile))
		return true, ignoreMissing(jobdir.WriteDurable(dir, hereFile, []byte(time.Now().UTC().Format(time.RFC3339)+"\n")))
	case !here:
		return false, p.because(node, h.Reason)
	}
	return false, nil
}

// forget removes a node whose allocation has ended by itself.
func (l loans) forget(ctx context.Context, p place, node, hold string) error {
	if _, err := l.d.slurm.LetGo(ctx, l.s.reach(l.t.Name), hold); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(p.nodes(), node))
}

// settle has the jobs of a node end whose allocation is over, for the reason that Slurm tells.
// Those that were not brought there yet need not end: whoever had them has died before.
func (l loans) settle(ctx context.Context, p place, node string) (left []string, err error) {
	st, err := l.d.memory.look(p)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(st.Cluster.Nodes, func(n schedule.Node) bool { return n.Name == node })
	if i < 0 {
		return nil, nil
	}
	for _, id := range st.Cluster.Nodes[i].Has() {
		j := st.Cluster.Find(id)
		if j == nil {
			continue
		}
		brought, err := l.settleJob(ctx, *j)
		if err != nil {
			return nil, err
		}
		if !brought {
			left = append(left, id)
		}
	}
	return left, nil
}

func (l loans) settleJob(ctx context.Context, j schedule.Job) (brought bool, err error) {
	f, ok, err := l.d.farJob(j.ID)
	if err != nil || !ok {
		return j.Begun, err
	}
	if !j.Begun {
		how, err := l.d.slurm.Status(ctx, f.target(l.t.Name), j.ID)
		if err != nil || how.State == target.Lost {
			return false, err
		}
	}
	_, err = l.d.slurm.Lapse(ctx, f.target(l.t.Name), j.ID)
	return true, err
}

// there waits until all nodes of a job take jobs. If one has ended meanwhile, the job waits
// for others as if it had never had them: nothing was asked of them yet.
func (l loans) there(ctx context.Context, p place, j schedule.Job) (bool, error) {
	hold := map[string]string{}
	var all []string
	for _, node := range j.On {
		name, err := p.hostOf(node)
		if err != nil {
			return false, ignoreMissing(err) // it is gone, which the next pass notices
		}
		hold[node], all = name, append(all, name)
	}
	for {
		how, err := l.d.slurm.Holds(ctx, l.s.reach(l.t.Name), all)
		if err != nil {
			return false, err
		}
		here := 0
		for _, node := range j.On {
			if h := how[hold[node]]; h.Over || h.Old {
				return false, l.giveUp(ctx, p, node, hold[node], j.ID)
			} else if h.Here {
				here++
			}
		}
		if here == len(all) {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(soon):
		}
	}
}

// giveUp takes jobs off their nodes that they were not brought to, since one of these has
// ended or does not know how to start them. That one is forgotten, unless there is another
// job on it, which must be told first.
func (l loans) giveUp(ctx context.Context, p place, node, hold string, ids ...string) error {
	gone := false
	err := l.d.over(ctx, l.t, func(pass *pass) error {
		c, returned := pass.cluster(), false
		for _, id := range ids {
			if j := c.Find(id); j == nil || j.Waits() || j.Begun {
				continue
			}
			c.Return(id, time.Now())
			returned = true
			if err := ignoreMissing(os.Remove(l.d.farFile(id))); err != nil {
				return err
			}
		}
		if !returned {
			return nil
		}
		i := slices.IndexFunc(c.Nodes, func(n schedule.Node) bool { return n.Name == node })
		if i >= 0 && len(c.Nodes[i].Has()) > 0 {
			c.Leave(node, "node "+node+" has ended", time.Now())
			return nil
		}
		gone = true
		return os.RemoveAll(filepath.Join(p.nodes(), node))
	})
	if err == nil && gone {
		_, _ = l.d.slurm.LetGo(ctx, l.s.reach(l.t.Name), hold) // nobody has it any more: this only tidies up
	}
	return err
}

// because puts down what a node waits for.
func (p place) because(node, why string) error {
	file := filepath.Join(p.nodes(), node, whyFile)
	if old, err := os.ReadFile(file); err == nil && string(old) == why {
		return nil
	}
	return ignoreMissing(os.WriteFile(file, []byte(why), 0o600))
}

// coming implements provider.
func (loans) coming(p place) string {
	names, err := p.made()
	if err != nil {
		return ""
	}
	var all []string
	for _, node := range names {
		dir := filepath.Join(p.nodes(), node)
		if text, err := os.ReadFile(filepath.Join(dir, whyFile)); err == nil && len(text) > 0 && !exists(filepath.Join(dir, hereFile)) && !exists(filepath.Join(dir, leavingFile)) {
			all = append(all, "node "+node+" "+string(text))
		}
	}
	if len(all) > mostComing {
		all = append(all[:mostComing], "…")
	}
	return strings.Join(all, "; ")
}

// mostComing bounds how many nodes people are told of.
const mostComing = 5

// wanted implements provider: Slurm takes nodes by itself.
func (loans) wanted(bool) string { return "" }

// node is what one node has.
func (s settings) node() target.Resources {
	r := target.Resources{GPUs: s.Node.GPUs}
	_ = json.Unmarshal(s.Node.CPUs, &r.CPUs)
	var memory jobdir.Bytes
	_ = json.Unmarshal(s.Node.Memory, &memory)
	r.Memory = int64(memory)
	return r
}
