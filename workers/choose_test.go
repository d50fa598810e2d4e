package workers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// answers is a driver that says after a time whether a target can be used.
type answers struct {
	target.Driver
	after time.Duration
	err   error
}

func (a answers) Check(ctx context.Context, _ target.Target) error {
	select {
	case <-time.After(a.after):
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The first target that can be used is taken, one that is silent is not waited for long when
// there is another, and why is told.
func TestChoosing(t *testing.T) {
	full, gone := errors.New("it is full"), errors.New("it is unreachable")
	for _, q := range []struct {
		name  string
		of    []answers
		index int
		notes []string
		took  time.Duration
	}{
		{"the first", []answers{{}, {after: time.Hour}}, 0, nil, 0},
		{"a slow one that is first", []answers{{after: 2 * time.Second}, {}}, 0, nil, 2 * time.Second},
		{"one that refuses", []answers{{err: full}, {}}, 1, []string{"it is full"}, 0},
		{"one that is silent", []answers{{after: time.Hour}, {}}, 1, []string{"not answered within 3s"}, 3 * time.Second},
		{"two that are silent", []answers{{after: time.Hour}, {after: time.Hour}, {}}, 2, []string{"not answered within 3s", "not answered within 3s"}, 4 * time.Second},
		{"none, and one is late to say so", []answers{{after: 10 * time.Second, err: gone}, {err: full}}, 1, []string{"it is unreachable", "it is full"}, 10 * time.Second},
		{"a silent one that is the only one", []answers{{after: 9 * time.Second}, {err: full}}, 0, nil, 9 * time.Second},
	} {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, ts := Activities{Drivers: map[string]target.Driver{}}, []target.Target{}
				for i, d := range q.of {
					kind := string(rune('a' + i))
					a.Drivers[kind] = d
					ts = append(ts, target.Target{Name: kind, Kind: kind})
				}
				begin := time.Now()
				c, err := a.Choose(t.Context(), ts)
				if err != nil || c.Index != q.index || len(c.Notes) != len(q.notes) {
					t.Fatalf("got %+v, %v", c, err)
				}
				for i, want := range q.notes {
					if !strings.Contains(c.Notes[i], want) {
						t.Errorf("note %d is %q, want %q", i, c.Notes[i], want)
					}
				}
				if took := time.Since(begin); took < q.took || took > q.took+lookAgain {
					t.Errorf("it took %v, want %v", took, q.took)
				}
			})
		})
	}
}
