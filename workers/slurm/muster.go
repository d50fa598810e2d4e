package slurm

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// The bounds of an array.
const (
	gatherFor  = 1500 * time.Millisecond // how long the first of several waits for the others
	mostTasks  = 250                     // so many are on record long before Slurm is given up, see tool/queue.sh
	atOnce     = 8                       // jobs that Slurm is asked for one by one
	callWithin = 5 * time.Minute
)

// muster gathers jobs that are submitted at the same time and ask for the same, such as the
// items of a stage, so that Slurm is asked once for all of them. A job that comes alone
// waits for nobody.
type muster struct {
	mu     sync.Mutex
	groups map[string]*group
	most   int // how many tasks an array may have; 0: that was not asked yet
}

// group is jobs that ask for the same.
type group struct {
	coming  int // submissions that still lay out their folders
	ready   []*recruit
	led     bool          // somebody asks Slurm, and will ask again for those that are ready
	changed chan struct{} // holds something when another one has come, or will not
}

// recruit is a job whose folder is laid out.
type recruit struct {
	id, name string // name is that of an array that it would be in
	ranks    int
	each     int
	launcher string
	options  []string
	confided []byte
	done     chan error

	ctx  context.Context // of whoever waits for it
	with []*recruit      // those that Slurm is asked for at the same time
}

// alike names all jobs that may be in one array: they differ in nothing that Slurm is told.
func (r *recruit) alike() string {
	return strings.Join(append([]string{r.name, strconv.Itoa(r.ranks), strconv.Itoa(r.each), r.launcher, string(r.confided)}, r.options...), "\n")
}

func newMuster() *muster { return &muster{groups: map[string]*group{}} }

var lastPart = regexp.MustCompile(`\.[^.]*$`)

// arrayName is that of an array with the job in it: that of its stage in its run.
func arrayName(id string) string { return lastPart.ReplaceAllString(id, "") }

// expect says that a job will be ready soon, or will not: then the function that it returns
// is called. More calls of that do nothing.
func (m *muster) expect(key string) (gone func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[key]
	if g == nil {
		g = &group{changed: make(chan struct{}, 1)}
		m.groups[key] = g
	}
	g.coming++
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		g.coming--
		m.tell(key, g)
	})
}

// tell wakes who leads a group, or forgets it when it is of no use any more. The caller has
// the lock.
func (m *muster) tell(key string, g *group) {
	if g.coming == 0 && !g.led && len(g.ready) == 0 {
		delete(m.groups, key)
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// enqueue has Slurm queue a job that was expected, together with others if there are some.
// It is not expected any more from then on.
func (c *cluster) enqueue(ctx context.Context, key string, r *recruit, gone func()) error {
	m := c.muster
	m.mu.Lock()
	g := m.groups[key]
	r.ctx = ctx
	g.ready = append(g.ready, r)
	if !g.led {
		g.led = true
		go c.lead(context.WithoutCancel(ctx), key, g)
	}
	m.mu.Unlock()
	gone()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	if m.leave(g, r) {
		<-r.done // nothing goes on behind the back of whoever called
	}
	return context.Cause(ctx)
}

// leave is for a job whose caller has gone. It reports whether Slurm is being asked for it,
// and for no other that somebody waits for: that call ends now.
func (m *muster) leave(g *group, r *recruit) (alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(g.ready, r); i >= 0 {
		g.ready = slices.Delete(g.ready, i, i+1)
		return false
	}
	return !slices.ContainsFunc(r.with, func(o *recruit) bool { return o.ctx.Err() == nil })
}

// lead asks Slurm for the jobs of a group as long as there are some.
func (c *cluster) lead(ctx context.Context, key string, g *group) {
	for {
		c.muster.gather(g)
		now := c.muster.take(key, g)
		if len(now) == 0 {
			return
		}
		c.callUpFor(ctx, now)
	}
}

// callUpFor is callUp as long as somebody waits for one of them.
func (c *cluster) callUpFor(ctx context.Context, all []*recruit) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	var waiting atomic.Int32
	waiting.Store(int32(len(all)))
	for _, r := range all {
		stop := context.AfterFunc(r.ctx, func() {
			if waiting.Add(-1) == 0 {
				cancel()
			}
		})
		defer stop()
	}
	c.callUp(ctx, all)
}

// gather waits for those that are expected, for a while.
func (m *muster) gather(g *group) {
	late := time.After(gatherFor)
	for {
		m.mu.Lock()
		enough := g.coming == 0 || len(g.ready) >= mostTasks
		m.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-g.changed:
		case <-late:
			return
		}
	}
}

// take takes those that are ready. When there are none, nobody leads the group any more.
func (m *muster) take(key string, g *group) []*recruit {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Slurm begins the tasks of an array in their order, and people count items: 9, 10.
	slices.SortStableFunc(g.ready, func(a, b *recruit) int {
		return cmp.Or(cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id))
	})
	n := min(len(g.ready), mostTasks)
	now := slices.Clone(g.ready[:n])
	for _, r := range now {
		r.with = now
	}
	if g.ready = g.ready[n:]; n == 0 {
		g.led = false
		m.tell(key, g)
	}
	return now
}

// callUp asks Slurm for jobs, as an array where it takes one. What it says of an array may
// be true of a few of its tasks only, so that it is asked for each then.
func (c *cluster) callUp(ctx context.Context, all []*recruit) {
	left := all
	if len(all) > 1 {
		names, err := c.asArray(ctx, all)
		switch {
		case errors.Is(err, target.ErrUnreachable) || ctx.Err() != nil:
			for _, r := range all {
				r.done <- err
			}
			return
		case err == nil:
			left = nil
			for _, r := range all {
				if slices.Contains(names, r.id) {
					left = append(left, r)
				} else {
					r.done <- nil
				}
			}
		}
	}
	room := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for _, r := range left {
		room <- struct{}{}
		wait.Go(func() {
			r.done <- c.asOne(ctx, r)
			<-room
		})
	}
	wait.Wait()
}

// asOne asks Slurm for one job.
func (c *cluster) asOne(ctx context.Context, r *recruit) error {
	_, err := c.call(ctx, r.feed(nil), "enqueue", r.id, strconv.Itoa(r.ranks), strconv.Itoa(r.each), r.launcher)
	return err
}

// feed is what the tool is told of a job, or of all those with these ids.
func (r *recruit) feed(ids []string) func(io.Writer) error {
	return func(w io.Writer) error {
		if err := lines(append(slices.Clone(r.options), "")...)(w); err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := lines(append(slices.Clone(ids), "")...)(w); err != nil {
				return err
			}
		}
		_, err := w.Write(r.confided)
		return err
	}
}

var errNoArrays = errors.New("this cluster takes no arrays")

// asArray asks Slurm for jobs as arrays, and returns those that must be asked for one by one.
func (c *cluster) asArray(ctx context.Context, all []*recruit) (left []string, err error) {
	most, err := c.mostTasks(ctx)
	if err != nil {
		return nil, err
	}
	if most < 2 {
		return nil, errNoArrays
	}
	for part := range slices.Chunk(all, min(most, mostTasks)) {
		var ids []string
		for _, r := range part {
			ids = append(ids, r.id)
		}
		name := fmt.Sprintf("%.100s.%s", part[0].name, strings.ToLower(rand.Text()[:12]))
		text, err := c.call(ctx, part[0].feed(ids), "muster", name, strconv.Itoa(part[0].ranks), strconv.Itoa(part[0].each), part[0].launcher)
		if err != nil {
			return nil, err
		}
		left = append(left, strings.Fields(text)...)
	}
	return left, nil
}

// mostTasks is how many tasks an array of the cluster may have.
func (c *cluster) mostTasks(ctx context.Context) (int, error) {
	m := c.muster
	m.mu.Lock()
	most := m.most
	m.mu.Unlock()
	if most > 0 {
		return most, nil
	}
	text, err := c.call(ctx, nil, "most")
	if err != nil {
		return 0, err
	}
	if most, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
		return 0, fmt.Errorf("ask Slurm how large an array may be: it answered %.100q", text)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.most = max(most, 1)
	return m.most, nil
}
