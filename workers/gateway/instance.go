package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

const (
	instancesDir = "instances"
	logFile      = "log"
)

// The pace of looking after processes.
const (
	lookEvery    = 100 * time.Millisecond
	probeFirst   = 10 * time.Millisecond
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 30 * time.Second
	stopGrace    = 5 * time.Second

	dialWithin = 2 * time.Second // of an instance on this computer
	askWithin  = 5 * time.Second // of one on another, and of its log
)

// The pace of those on machines that are out of reach; tests have less patience.
var (
	awayPause      = time.Second      // before one asks again
	elsewhereAfter = 30 * time.Second // the instance is begun on another machine then
	tidyEvery      = 5 * time.Second  // what is left on the first is ended
)

// portTaken is the exit status by which serve.py asks for another port.
const portTaken = 98

// start is the record of the last start of an instance.
type start struct {
	Start    int          `json:"start"` // the number of its folder
	Port     int          `json:"port"`
	Host     string       `json:"host,omitempty"` // the machine, when it is not this computer
	Ready    bool         `json:"ready"`          // its health path has answered 200
	Restarts int          `json:"restarts"`
	State    target.State `json:"state"`
	PID      int          `json:"pid,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	LogFrom  int64        `json:"log_from"` // where what this start wrote begins
}

func (s start) instance(n int) target.Instance {
	return target.Instance{
		Number: n, State: s.State, PID: s.PID, Restarts: s.Restarts, Reason: s.Reason,
		Address: net.JoinHostPort(cmp.Or(s.Host, loopback), strconv.Itoa(s.Port)),
	}
}

// instance is one process that answers for a deployment, over all its starts.
type instance struct {
	number  int
	of      *deployment
	dir     string
	maker   maker
	way     way
	log     *slog.Logger
	pending atomic.Int64  // requests that it is answering
	failed  atomic.Bool   // its last start came to nothing
	doubt   chan struct{} // a request could not reach it: look now
	changed func()        // called after it became ready, or cannot be hoped for

	away  time.Time          // since when it is out of reach; for its keeping alone
	leave context.CancelFunc // ends its keeping
	left  chan struct{}      // closed when that has ended

	pulling sync.Mutex // held while its log is fetched

	mu  sync.Mutex // held while it is changed
	now atomic.Pointer[start]
}

func newInstance(of *deployment, n int, m maker, log *slog.Logger) *instance {
	i := &instance{number: n, of: of, dir: instanceDir(of.dir, n), maker: m, doubt: make(chan struct{}, 1), changed: func() {}}
	i.log = log.With("instance", n)
	i.way = i.chooseWay()
	// A torn or missing record is one of an instance that never started.
	var s start
	_ = readJSON(i.dir, nowFile, &s)
	if !of.here() && s.Start == 0 {
		s = i.adopted()
	}
	i.now.Store(&s)
	if h, ok := m.(here); ok {
		h.ports.take(s.Port)
	}
	return i
}

// adopted is the record of the last start, made anew: the machine of the gateway went
// down and forgot it, and the process lives on another.
func (i *instance) adopted() start {
	all, err := i.of.lives(i.number)
	if err != nil || len(all) == 0 {
		return start{}
	}
	l := all[len(all)-1]
	return start{Start: l.start, Port: l.seat.Port, Host: l.seat.Host, State: target.Waiting}
}

// life is the present start.
func (i *instance) life() (life, error) {
	s := i.view()
	l := life{of: i.of, number: i.number, start: s.Start, seat: Seat{Port: s.Port, Listen: loopback}}
	if i.of.here() || s.Port == 0 {
		return l, nil
	}
	if err := readJSON(l.dir(), seatFile, &l.seat); err != nil {
		return l, fmt.Errorf("find out where the instance is: %w", err)
	}
	return l, nil
}

func logPath(instanceDir string) string { return filepath.Join(instanceDir, logFile) }

func (i *instance) view() start { return *i.now.Load() }

func (i *instance) ready() bool { return i.now.Load().Ready }

// promising reports whether it is ready, or may soon be.
func (i *instance) promising() bool { return !i.failed.Load() }

// address is where it listens, as it sees that itself.
func (i *instance) address() string {
	return net.JoinHostPort(loopback, strconv.Itoa(i.now.Load().Port))
}

// change alters the record, in memory and for those who look from outside.
func (i *instance) change(alter func(*start)) {
	i.record(alter)
	i.changed()
}

func (i *instance) record(alter func(*start)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	was := i.view()
	now := was
	alter(&now)
	i.now.Store(&now)
	if was == now {
		return
	}
	if err := writeQuick(i.dir, nowFile, now); err != nil {
		i.log.Error("record the instance", "error", err)
	}
}

// suspect takes the instance out of rotation until it has been looked at.
func (i *instance) suspect(unreachable bool) {
	if unreachable {
		i.mu.Lock()
		s := i.view()
		s.Ready = false
		i.now.Store(&s)
		i.mu.Unlock()
	}
	select {
	case i.doubt <- struct{}{}:
	default:
	}
}

// failure is why an instance or a rollout did not come up.
type failure struct {
	reason string
	log    string
	cause  target.Cause // empty: it did not start
	again  bool         // the instance is not to blame: another start may succeed
}

func (f *failure) Error() string { return f.reason }

func (i *instance) fail(format string, args ...any) *failure {
	reason := fmt.Sprintf("instance %d ", i.number) + fmt.Sprintf(format, args...)
	return &failure{reason: reason, log: i.tail()}
}

// answers is fail for an instance that runs, but not as its sample wants it.
func (i *instance) answers(format string, args ...any) *failure {
	f := i.fail(format, args...)
	f.cause = target.CauseSample
	return f
}

// tail returns the last lines that this start wrote.
func (i *instance) tail() string {
	limit, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	if err := i.pull(limit); err != nil {
		i.log.Warn("fetch the log of the instance", "error", err)
	}
	f, info, err := jobdir.OpenRegular(logPath(i.dir))
	if err != nil {
		return ""
	}
	defer f.Close()
	from := max(i.view().LogFrom, info.Size()-8<<10)
	text := make([]byte, max(0, info.Size()-from))
	n, _ := f.ReadAt(text, from)
	return lastLines(string(text[:n]), 20)
}
