package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// maker makes the processes of instances in one kind of place, and finds them again. The
// law of target.Driver holds for it: any call may come again, from another gateway. An
// error that wraps target.ErrUnreachable says nothing about the process.
type maker interface {
	// seat decides where the life is to be lived, and at which port it is to listen.
	seat(ctx context.Context, l life) (Seat, error)
	// begin starts the process, once and for all.
	begin(ctx context.Context, l life) error
	// look says how the process is. One that the place does not know is lost.
	look(ctx context.Context, l life) (jobdir.View, error)
	// read copies what the process has written, from an offset on, where that is not in
	// the log of the instance by itself.
	read(ctx context.Context, l life, offset int64, w io.Writer) (int64, error)
	// end returns when nothing of the process is alive, and nothing ever will be.
	end(ctx context.Context, l life) error
	// clean removes what a process that has ended has left in its place.
	clean(ctx context.Context, l life) error
	// dial connects to the port that the process listens on.
	dial(ctx context.Context, l life) (net.Conn, error)
	// pace is how often it is worth to look.
	pace() time.Duration
}

// life is one start of an instance, until its process has ended.
type life struct {
	of     *deployment
	number int // of the instance
	start  int // which of its starts it is
	seat   Seat
}

// Seat is where one start of an instance is.
type Seat struct {
	Target target.Target `json:"target"`           // where Submit takes it to no other machine
	Host   string        `json:"host,omitempty"`   // the name of the machine, for people; empty: this computer
	Port   int           `json:"port"`             // $PORT
	Listen string        `json:"listen,omitempty"` // $AMLFLOW_LISTEN: the address to listen at
}

const (
	loopback = "127.0.0.1"
	seatFile = "seat.json"
	lastFile = "last.json" // the number of the last start of an instance that is none any more
)

// dir is the folder of this start. Where it is, something of the process may be left.
func (l life) dir() string {
	return filepath.Join(instanceDir(l.of.dir, l.number), strconv.Itoa(l.start))
}

// lives are the starts of an instance that may have left something, the oldest first.
func (d *deployment) lives(number int) ([]life, error) {
	entries, err := os.ReadDir(instanceDir(d.dir, number))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var now start
	if d.here() { // the process folder does not tell the port
		_ = readJSON(instanceDir(d.dir, number), nowFile, &now)
	}
	var all []life
	for _, e := range entries {
		start, err := strconv.Atoi(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		l := life{of: d, number: number, start: start}
		if err := readJSON(l.dir(), seatFile, &l.seat); ignoreMissing(err) != nil {
			return nil, err
		}
		if start == now.Start {
			l.seat.Port = now.Port
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b life) int { return cmp.Compare(a.start, b.start) })
	return all, nil
}

// Hosts are the drivers whose jobs can be instances, by the kind of their targets.
type Hosts map[string]Host

// hereKind is the kind of target whose instances are processes of this computer.
const hereKind = "local"

// here reports whether the instances are processes of this computer. Deployments of
// before have no kind.
func (w wish) here() bool { return w.kind() == hereKind }

func (w wish) kind() string { return cmp.Or(w.Kind, hereKind) }

// target is where the deployment is, as whoever asked for it described that.
func (w wish) target() target.Target {
	return target.Target{Name: w.Target, Kind: w.Kind, Settings: w.Settings}
}

// maker returns the one of the place where the instances of a deployment are.
func (f Folder) maker(d *deployment, p *ports) (maker, error) {
	if d.here() {
		return here{p}, nil
	}
	h := f.Hosts[d.Kind]
	if h == nil {
		return nil, fmt.Errorf("this program serves no targets of kind %q: %w", d.Kind, target.ErrPermanent)
	}
	return jobs{h}, nil
}

// finish ends a life and removes what it has left, but for its log.
func finish(ctx context.Context, m maker, l life) error {
	if err := m.end(ctx, l); err != nil {
		return err
	}
	if err := l.pullLast(ctx, m); errors.Is(err, target.ErrUnreachable) {
		return err // any other log is one that the process has spoilt itself
	}
	if err := m.clean(ctx, l); err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// address is where the process listens, as seen from its own machine.
func (s Seat) address() string { return net.JoinHostPort(loopback, strconv.Itoa(s.Port)) }
