package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"
)

// ErrSweeping says that another command removes what is left over.
var ErrSweeping = errors.New("another `amlflow gc` is at work in this state folder")

// Sweeping says what may go.
type Sweeping struct {
	Older  time.Duration // what is left of runs that ended longer ago than this
	Stores []string      // artifact stores beside that of the state folder
	DryRun bool          // only say what would go
	// Targets are asked by their names, of the kinds that cannot see what they keep otherwise.
	Targets []target.Target
}

// The kinds of what a sweep removes, beside those that targets keep.
const (
	LeftArtifact   = "artifact"
	LeftRecord     = "record"     // of results that later runs could reuse
	LeftUnfinished = "unfinished" // what was being written when its writer was killed
	LeftTemplate   = "template"
	LeftSecret     = "secret" // what was sealed for a run
)

// Leftover is one thing that nothing needs any more.
type Leftover struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Place string `json:"place"` // the store, the target or its kind, or the state folder that it is in
}

// Swept is what went, or would go.
type Swept struct {
	Leftovers []Leftover
	Notes     []string // what was left alone, and why
}

// sweeper is one sweep.
type sweeper struct {
	o      Sweeping
	e      *Engine
	now    time.Time
	roster *roster
	swept  *Swept
}

// Sweep removes what no run, endpoint or cache refers to: runs that have ended less
// than o.Older ago, and those that go on, keep everything. The records of all runs
// stay. It is safe while runs begin, go on and end, and may be killed at any moment.
// Of what it cannot know the users of it removes nothing, and says so in a note.
func (e *Engine) Sweep(ctx context.Context, o Sweeping) (*Swept, error) {
	lock, err := e.sweepLock()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	s := &sweeper{o: o, e: e, now: time.Now(), swept: &Swept{}}
	if s.roster, err = e.enroll(ctx, s.now.Add(-o.Older), s.note); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.targets, s.stores, s.templates, s.secrets} {
		if err := step(ctx); err != nil {
			return s.swept, err
		}
	}
	return s.swept, nil
}

// sweepLock is held by one sweep of a state folder at a time.
func (e *Engine) sweepLock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(e.o.Home, "gc.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrSweeping
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s *sweeper) note(format string, args ...any) {
	s.swept.Notes = append(s.swept.Notes, fmt.Sprintf(format, args...))
}

// before is the time that things have gone unused for long enough which runs share, or
// which are found again by their name alone.
func (s *sweeper) before() time.Time {
	return s.now.Add(-max(s.o.Older, blob.Grace))
}

func (s *sweeper) gone(kind, place string) func(name string, bytes int64) {
	return func(name string, bytes int64) {
		s.swept.Leftovers = append(s.swept.Leftovers, Leftover{Kind: kind, Name: name, Bytes: bytes, Place: place})
	}
}

// stores sweeps the artifact stores that are known to serve this state folder alone.
func (s *sweeper) stores(ctx context.Context) error {
	if s.roster.blind != "" {
		s.note("no artifact was looked at: %s", s.roster.blind)
		return nil
	}
	seen := map[string]bool{}
	for _, dir := range append([]string{s.e.o.StoreDir()}, s.o.Stores...) {
		if seen[dir] || !isDir(dir) {
			continue
		}
		seen[dir] = true
		if err := s.store(ctx, dir); err != nil {
			return fmt.Errorf("sweep the store %q: %w", dir, err)
		}
	}
	return nil
}

func isDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

func (s *sweeper) store(ctx context.Context, dir string) error {
	b, err := blob.OpenFolder(dir)
	if err != nil {
		return err
	}
	users, err := b.Users()
	if err != nil {
		return err
	}
	for name, home := range users {
		if name != s.e.user() {
			s.note("the store %q was left alone: the state folder %q uses it too; once that has gone, remove %q", dir, home, filepath.Join(dir, "users", name))
			return nil
		}
	}
	if _, ours := users[s.e.user()]; !ours && dir != s.e.o.StoreDir() {
		s.note("the store %q was left alone: this state folder has started no run with it, so that whoever uses it is not known", dir)
		return nil
	}
	told := func(kind string) func(blob.Item) {
		return func(i blob.Item) { s.gone(kind, dir)(i.Name, i.Bytes) }
	}
	if err := b.SweepRecords(ctx, s.o.DryRun, s.before(), told(LeftRecord)); err != nil {
		return err
	}
	models, err := registry.Open(dir).Artifacts()
	if err != nil {
		return err
	}
	for _, ref := range models {
		s.roster.refs[ref] = true
	}
	held, err := s.roster.hold(ctx, b, s.before())
	if err != nil {
		return err
	}
	young := earlier(s.now.Add(-blob.Grace), s.roster.since)
	keep := func(i blob.Item) bool { return held[i.Name] || !i.Used.Before(young) }
	if err := b.Sweep(ctx, s.o.DryRun, keep, told(LeftArtifact)); err != nil {
		return err
	}
	return b.SweepUnfinished(ctx, s.o.DryRun, s.now.Add(-blob.Grace), told(LeftUnfinished))
}

// user is how this state folder is known in a store.
func (e *Engine) user() string { return strings.ToLower(e.Info().Queue) }

// claim leaves the name of this state folder in a store, before its first run there.
func (e *Engine) claim(store string) error {
	if store == "" {
		return nil
	}
	b, err := blob.OpenFolder(store)
	if err != nil {
		return err
	}
	return b.Claim(e.user(), e.o.Home)
}

// needless reports whether nobody needs what a target keeps. going are the jobs that
// nobody needs.
func (s *sweeper) needless(k target.Kept, going map[string]bool) bool {
	switch k.What {
	case target.KeptJob:
		return s.roster.over(k.Name, k.Used.Before(s.before()))
	case target.KeptMark:
		return k.Used.Before(s.before()) && s.roster.over(k.Name, true)
	case target.KeptContent:
		return k.Used.Before(s.before())
	case target.KeptEnvironment:
		for _, user := range k.Users {
			if !going[user] {
				return false
			}
		}
		return k.Used.Before(s.before())
	}
	return false
}

func (s *sweeper) templates(ctx context.Context) error {
	gone := s.gone(LeftTemplate, s.e.o.Home)
	return imports.Sweep(ctx, s.e.o.Home, s.o.DryRun, s.before(), func(u imports.Unit) { gone(u.Name, u.Bytes) })
}

// secrets removes what was sealed for runs that are over, or were never begun.
func (s *sweeper) secrets(context.Context) error {
	sealed, err := secrets.Sealed(s.e.o.Home)
	if err != nil {
		return err
	}
	for run, since := range sealed {
		if !s.roster.ended(run, s.now.Sub(since) > abandoned) {
			continue
		}
		if !s.o.DryRun {
			if err := secrets.Forget(s.e.o.Home, run); err != nil {
				return err
			}
		}
		s.gone(LeftSecret, s.e.o.Home)(run, 0)
	}
	return nil
}
