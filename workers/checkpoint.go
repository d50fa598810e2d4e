package workers

import (
	"context"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// How often checkpoints are looked for: at first after checkpointFirst, and no more
// often than takes a tenth of the time.
const (
	checkpointFirst = 1500 * time.Millisecond
	checkpointShare = 10
)

type checkpointKey struct{}

// OnCheckpoint has kept called with each checkpoint that is kept of what is run
// within ctx, while it goes on.
func OnCheckpoint(ctx context.Context, kept func(target.Ref)) context.Context {
	return context.WithValue(ctx, checkpointKey{}, kept)
}

// keeper keeps the checkpoints of a job in the store, while the job is followed.
type keeper struct {
	driver target.Checkpointer // nil: it has none
	sub    Submission
	blobs  target.Blobs

	mu   sync.Mutex // held while it looks
	mark string
	ref  target.Ref
	err  error // of the last look
}

func newKeeper(d target.Driver, s Submission, blobs target.Blobs) *keeper {
	k := &keeper{sub: s, blobs: blobs}
	if s.Job.Checkpoint != nil {
		k.driver, _ = d.(target.Checkpointer)
	}
	return k
}

// watch looks for checkpoints until the function that it returns is called, which
// waits for a look under way.
func (k *keeper) watch(ctx context.Context) (stop func()) {
	if k.driver == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var over sync.WaitGroup
	over.Go(func() {
		for pause := checkpointFirst; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			began := time.Now()
			k.look(ctx)
			pause = max(checkpointFirst, checkpointShare*time.Since(began))
		}
	})
	return func() { cancel(); over.Wait() }
}

// look keeps what is new.
func (k *keeper) look(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ref, mark, err := k.driver.Checkpoint(ctx, k.sub.Target, k.sub.Job.ID, k.mark, k.blobs)
	if ctx.Err() != nil {
		return
	}
	if k.err = err; err != nil {
		return // the next look tries again
	}
	if k.mark = mark; ref == "" || ref == k.ref {
		return
	}
	k.ref = ref
	if kept, ok := ctx.Value(checkpointKey{}).(func(target.Ref)); ok {
		kept(ref)
	}
}

// last keeps what a job has left that has ended, and adds it to what became of it.
func (k *keeper) last(ctx context.Context, o *Outcome) {
	if k.driver == nil || o.State == target.Succeeded && !k.sub.GoesOn {
		return
	}
	_ = beating(ctx, func(ctx context.Context) error { k.look(ctx); return nil })
	k.mu.Lock()
	defer k.mu.Unlock()
	if o.Checkpoint = k.ref; k.err != nil {
		o.Notes = append(o.Notes, "its last checkpoint could not be kept: "+words(k.err))
	}
}
