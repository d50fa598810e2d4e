package tracking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// How long the process stays when nobody asks, and no job is running.
const (
	idleFor  = 15 * time.Second
	lookEach = time.Second
)

// desk is the process.
type desk struct {
	dir  string // of the service
	home string // the state folder
	key  []byte
	log  *slog.Logger

	store func(dir string) (target.Blobs, error) // see Process

	mu   sync.Mutex
	jobs map[string]*job // by folder, below the state folder
	last time.Time       // when somebody asked
	busy int             // requests under way
}

// Process says how to be the process that answers.
type Process struct {
	Dir    string   // of the service
	Socket *os.File // open already
	Lock   *os.File // says who has the socket, and is kept as long
	// StandBy waits until the one that answers has died, and takes its place if any job
	// may need it.
	StandBy bool
	// Store opens an artifact store, whose models jobs may load; nil: they see none.
	Store func(dir string) (target.Blobs, error)
	// Second starts a process that stands by; nil: there is none.
	Second Start
}

// Main is the process. It returns when another one answers, when nobody needs it any more,
// and when ctx ends.
func Main(ctx context.Context, p Process) error {
	dir, socket := p.Dir, p.Socket
	defer p.Lock.Close()
	defer socket.Close()
	own, err := p.turn(ctx)
	if own == nil {
		return err
	}
	defer own.Close()
	l, err := net.FileListener(socket)
	if err != nil {
		return fmt.Errorf("listen at the socket that was given: %w", err)
	}
	defer l.Close()
	key, err := readKey(dir)
	if err != nil {
		return err
	}
	d := &desk{
		dir: dir, home: filepath.Dir(dir), key: key, log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		jobs: map[string]*job{}, last: time.Now(), store: p.Store,
	}
	if p.StandBy && !d.needed() {
		return nil
	}
	server := &http.Server{
		Handler: d.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.serveOn(l, server, cancel)
	var second sync.WaitGroup
	second.Go(func() { d.second(ctx, p) })
	d.stay(ctx)
	cancel()
	second.Wait() // it uses the socket
	ending, end := context.WithTimeout(context.Background(), 10*time.Second)
	defer end()
	return server.Shutdown(ending)
}

// standing is called when a process stands by, so that tests can wait for it.
var standing = func() {}

// turn waits until it is the turn of this process; nil when that never comes.
func (p Process) turn(ctx context.Context) (*os.File, error) {
	path := filepath.Join(p.Dir, lockFile)
	own, err := jobdir.TryLock(path, syscall.LOCK_EX)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return own, err
	}
	if !p.StandBy {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	standing()
	locked := make(chan error, 1)
	go func() {
		for {
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		return f, err
	case <-ctx.Done():
		return nil, nil // the process ends, and with it the waiting
	}
}

// standsAfter is how long the process has lived before another one stands by: a short job
// is not worth two.
const standsAfter = 10 * time.Second

// second keeps a process that takes the place of this one when it is killed. Whoever
// submits would do that too, but may have been killed before.
func (d *desk) second(ctx context.Context, p Process) {
	for pause := standsAfter; p.Second != nil; pause = time.Second {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		ended, err := p.Second(p.Dir, p.Socket, p.Lock)
		if err != nil {
			d.log.Error("start a process that stands by", "error", err)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
		}
	}
}

func (d *desk) serveOn(l net.Listener, server *http.Server, cancel func()) {
	defer cancel()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		d.log.Error("serve", "error", err)
	}
}

// stay returns when nobody needs the process any more.
func (d *desk) stay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEach):
		}
		if !there(d.dir) {
			return // the state folder was removed
		}
		if quiet := d.quiet(); quiet < idleFor {
			continue
		}
		if !d.needed() {
			return
		}
		d.touch(0) // it is needed; the folders are looked at again later
	}
}

// quiet is how long nobody has asked. It forgets what is known of jobs that have gone.
func (d *desk) quiet() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	for rel, j := range d.jobs {
		if time.Since(j.asked) > time.Minute && j.idle() {
			delete(d.jobs, rel)
		}
	}
	if d.busy > 0 {
		return 0
	}
	return time.Since(d.last)
}

func (d *desk) touch(busy int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy += busy
	d.last = time.Now()
}

// needed reports whether any job of the state folder is running.
func (d *desk) needed() bool {
	folders, err := filepath.Glob(filepath.Join(d.home, "*", "jobs", "*"))
	for _, dir := range folders {
		if !there(filepath.Join(dir, "job.json")) {
			continue
		}
		if v, err := jobdir.Look(dir); err == nil && v.Phase == jobdir.Running {
			return true
		}
	}
	return err != nil
}
