package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// answerWithin is how long a target on another machine may take to say what it keeps.
const answerWithin = 30 * time.Second

// listed is what one target keeps, or the targets of one kind.
type listed struct {
	sweeper target.Sweeper
	target  target.Target
	kept    []target.Kept
	err     error
}

// targets sweeps what targets keep of runs that are over. One on another machine that does
// not answer is passed over, with a note.
func (s *sweeper) targets(ctx context.Context) error {
	for kind, d := range s.e.o.Drivers {
		sw, ok := d.(target.Sweeper)
		if !ok || d.Kind().Afar {
			continue
		}
		t := target.Target{Kind: kind}
		kept, err := sw.Kept(ctx, t)
		if err == nil {
			err = s.target(ctx, listed{sweeper: sw, target: t, kept: kept})
		}
		if err != nil {
			return fmt.Errorf("sweep targets of kind %q: %w", kind, err)
		}
	}
	for _, l := range s.afar(ctx) {
		if l.err == nil {
			l.err = s.target(ctx, l)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.err != nil {
			s.note("the target %q was left alone: %v", l.target.Name, l.err)
		}
	}
	return nil
}

// afar asks targets on other machines what they keep, all at once.
func (s *sweeper) afar(ctx context.Context) []listed {
	var all []listed
	for _, t := range s.o.Targets {
		if sw, ok := s.e.o.Drivers[t.Kind].(target.Sweeper); ok && sw.Kind().Afar {
			all = append(all, listed{sweeper: sw, target: t})
		}
	}
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			all[i].kept, all[i].err = all[i].sweeper.Kept(ctx, all[i].target)
		})
	}
	wait.Wait()
	return all
}

// target sweeps jobs before what they use.
func (s *sweeper) target(ctx context.Context, l listed) error {
	if err := s.roster.doubt(ctx, s.e, l.kept); err != nil {
		return err
	}
	place := l.target.Kind
	if l.target.Name != "" {
		place = l.target.Name
	}
	going := map[string]bool{}
	for _, what := range []target.What{target.KeptJob, target.KeptMark, target.KeptEnvironment, target.KeptContent} {
		for _, k := range l.kept {
			if k.What != what || !s.needless(k, going) {
				continue
			}
			going[k.Name] = going[k.Name] || what == target.KeptJob
			removed := s.o.DryRun
			if !removed {
				var err error
				if removed, err = l.sweeper.Sweep(ctx, l.target, k, s.before()); err != nil {
					return fmt.Errorf("%s %q: %w", k.What, k.Name, err)
				}
			}
			if removed {
				s.gone(string(k.What), place)(k.Name, k.Bytes)
			}
		}
	}
	return nil
}
