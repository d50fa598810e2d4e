package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// rig is a cluster in a folder of its own.
type rig struct {
	t   *testing.T
	d   Driver
	to  target.Target
	ids []string
}

func newRig(t *testing.T, settings string) *rig {
	t.Helper()
	r := &rig{t: t, d: New(t.TempDir(), nil), to: training(settings)}
	t.Cleanup(r.end)
	return r
}

// end leaves nothing running behind a test, whatever became of it.
func (r *rig) end() {
	ctx := context.Background()
	for _, id := range r.ids {
		_ = r.d.jobs.Cancel(ctx, r.to, id, target.CauseCancel)
	}
	for _, id := range r.ids {
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if st, err := r.d.jobs.Status(ctx, r.to, id); err != nil || st.State.Ended() {
				break
			}
		}
	}
}

func (r *rig) job(id, script string, nodes int) target.Job {
	r.ids = append(r.ids, id)
	return target.Job{ID: id, Script: script, Host: host(), Needs: target.Resources{Nodes: nodes}, Grace: 5 * time.Second}
}

func (r *rig) submit(j target.Job) {
	r.t.Helper()
	if err := r.d.Submit(r.t.Context(), r.to, j, &targettest.Blobs{}); err != nil {
		r.t.Fatalf("submit %s: %v", j.ID, err)
	}
}

func (r *rig) status(id string) target.Status {
	r.t.Helper()
	st, err := r.d.Status(r.t.Context(), r.to, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

// until looks until the job is in a state.
func (r *rig) until(id string, want target.State) target.Status {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		st := r.status(id)
		if st.State == want {
			return st
		}
		if time.Now().After(end) || st.State.Ended() {
			r.t.Fatalf("job %s is never %s: %+v", id, want, st)
		}
	}
}

func (r *rig) cancel(id string, why target.Cause) {
	r.t.Helper()
	if err := r.d.Cancel(r.t.Context(), r.to, id, why); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) fleet() target.Fleet {
	r.t.Helper()
	f, err := r.d.Nodes(r.t.Context(), r.to)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// becomes waits, with nobody looking but the background server, until the nodes are so.
func (r *rig) becomes(what string, is func(target.Fleet) bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if err := r.d.Keep(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		st, err := r.d.place(r.to.Name).read()
		if err != nil {
			r.t.Fatal(err)
		}
		f := st.fleet(time.Now())
		if is(f) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("it never came to %s: %+v", what, f)
		}
	}
}

// forever goes on when its sleep is told to end before the shell is, which ends at an error.
const forever = "while :; do sleep 0.05 || :; done"
