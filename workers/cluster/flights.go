package cluster

import (
	"context"
	"maps"
	"sync"
	"time"
)

// flights are what one process does with other machines beside the passes, which must not
// wait for them: each thing once at a time, and not again at once when it has failed.
type flights struct {
	mu       sync.Mutex
	ctx      context.Context // ends with close
	end      context.CancelFunc
	all      sync.WaitGroup
	under    map[string]bool
	failed   map[string]failure
	refusals map[string]error                // jobs that can never start, by id
	gone     map[string]map[string]time.Time // when a host did not answer, by the place of the cluster
}

type failure struct {
	at  time.Time
	err error
}

func newFlights() *flights {
	ctx, end := context.WithCancel(context.Background())
	return &flights{ctx: ctx, end: end, under: map[string]bool{}, failed: map[string]failure{}, refusals: map[string]error{}, gone: map[string]map[string]time.Time{}}
}

// The bounds of one flight. What it copies may be large.
const (
	flightMost = time.Hour
	flightRest = time.Second // after a failure
)

// begin has something done, unless it is under way or has failed just now. It returns how
// it failed the last time, if it did not succeed since.
func (f *flights) begin(what string, do func(ctx context.Context) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.failed[what]
	if f.under[what] || time.Since(last.at) < flightRest || f.ctx.Err() != nil {
		return last.err
	}
	f.under[what] = true
	f.all.Go(func() {
		ctx, cancel := context.WithTimeout(f.ctx, flightMost)
		defer cancel()
		err := do(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.under, what)
		delete(f.failed, what)
		if err != nil {
			f.failed[what] = failure{time.Now(), err}
		}
	})
	return last.err
}

// close ends all that is under way, and lets nothing begin.
func (f *flights) close() {
	f.mu.Lock()
	f.end()
	f.mu.Unlock()
	f.all.Wait()
}

// failure is how something failed the last time, if it did not succeed since.
func (f *flights) failure(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed[what].err
}

// again forgets how something failed, for somebody who wants it tried anew.
func (f *flights) again(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.failed, "start "+id)
	delete(f.refusals, id)
}

// refuse notes that a job can never start, and refused tells it.
func (f *flights) refuse(id string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals[id] = err
}

func (f *flights) refused(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refusals[id]
}

// leave notes that a host does not answer, and away tells when each of a cluster did not.
func (f *flights) leave(place, host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone[place] == nil {
		f.gone[place] = map[string]time.Time{}
	}
	f.gone[place][host] = time.Now()
}

func (f *flights) away(place string) map[string]time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.gone[place])
}
