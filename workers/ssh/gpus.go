package ssh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/remote"
)

// visible is the variable that tells a job which GPUs it may use.
const visible = "CUDA_VISIBLE_DEVICES"

// waiting is what this process knows of jobs that were submitted and wait for GPUs, or did
// so a moment ago: what they are given, which is in no file, and when to ask for them again.
// Who has which GPU is known on their hosts alone.
type waiting struct {
	mu   sync.Mutex
	jobs map[string]*waits
}

type waits struct {
	secrets  map[string]string
	confided bool
	turn     sync.Mutex // held by whoever asks
	why      string
	again    time.Time
}

func newWaiting() *waiting { return &waiting{jobs: map[string]*waits{}} }

// askAgain is how long a job waits before its host is asked again, for each job before it, up
// to askSeldom.
const (
	askAgain  = 500 * time.Millisecond
	askSeldom = 10 * time.Second
)

func (w *waiting) of(id string) *waits {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobs[id]
	if j == nil {
		j = &waits{}
		w.jobs[id] = j
	}
	return j
}

// confide keeps what a job is given until it has started, or is given up.
func (w *waiting) confide(id string, secrets map[string]string) {
	j := w.of(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	j.secrets, j.confided, j.again = secrets, true, time.Time{}
}

func (w *waiting) forget(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, id)
}

// start starts a job that was laid out and asks for GPUs, if its hosts lend it some. Else it
// says what the job waits for. It may be called again whatever became of the last time.
func (w *waiting) start(ctx context.Context, id string, r record, nodes, seats []host) (why string, err error) {
	j := w.of(id)
	j.turn.Lock()
	defer j.turn.Unlock()
	w.mu.Lock()
	secrets, confided := j.secrets, j.confided
	w.mu.Unlock()
	if r.Secrets && !confided {
		return "its secrets were with a process that has ended, so it starts once it is submitted again", nil
	}
	if time.Now().Before(j.again) {
		return j.why, nil
	}
	lent, why, before, err := borrow(ctx, id, r, nodes)
	if err != nil {
		return "", err
	}
	if why != "" {
		j.why, j.again = why, time.Now().Add(min(askAgain*time.Duration(1+before), askSeldom))
		return why, nil
	}
	for n, h := range seats {
		if n > 0 { // see submission.given
			up, err := seats[0].Stopping(ctx, remote.Unit(id, 0))
			if up || err != nil {
				return "", err
			}
		}
		kept, err := h.Employ(ctx, remote.Unit(id, n), lent[n/max(r.Each, 1)], variables(secrets))
		if err != nil {
			return "", h.blame(err)
		}
		if !kept {
			return "its GPUs were given to others, since nobody had asked for it for minutes", nil
		}
	}
	w.forget(id)
	return "", nil
}

// borrow asks the nodes of a job for its GPUs, all jobs in the same order of hosts, so that
// no two have what the other waits for. before is how many jobs come first.
func borrow(ctx context.Context, id string, r record, nodes []host) (lent []string, why string, before int, err error) {
	order := make([]int, len(nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(nodes[a].addr, nodes[b].addr), cmp.Compare(nodes[a].name, nodes[b].name))
	})
	lent = make([]string, len(nodes))
	for _, i := range order {
		var units []string
		for k := range max(r.Each, 1) {
			units = append(units, remote.Unit(id, i*max(r.Each, 1)+k))
		}
		if r.count() < len(nodes)*max(r.Each, 1) { // mpirun starts the others
			units = []string{remote.Unit(id, 0)}
		}
		loan, err := nodes[i].Borrow(ctx, r.GPUs, r.Of, units)
		if err != nil {
			return nil, "", 0, nodes[i].blame(err)
		}
		if loan.Devices == "" {
			return nil, waitsFor(nodes[i], len(nodes), r, loan), loan.Before, nil
		}
		lent[i] = loan.Devices
	}
	return lent, "", 0, nil
}

// waitsFor says for people what a job waits for.
func waitsFor(h host, nodes int, r record, l remote.Loan) string {
	why := fmt.Sprintf("it wants %s, and %d of %d free", plural(r.GPUs, "GPU"), l.Free, r.Of)
	if nodes > 1 {
		why += fmt.Sprintf(" on host %q", h.name)
	}
	if l.Before > 0 {
		why += fmt.Sprintf("; %s before it", plural(l.Before, "job"))
	}
	return why
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lends reports what keeps a host from lending the GPUs that the target says it has.
func (s settings) lends(ctx context.Context, h host) error {
	if s.GPUs == 0 {
		return nil
	}
	trouble, err := h.Devices(ctx, s.GPUs)
	if err == nil && trouble != "" {
		err = fmt.Errorf("%s", trouble)
	}
	return err
}
