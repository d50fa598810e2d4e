package builtin

import (
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// mine is a driver that knows its name and where the state folder is.
type mine struct {
	target.Driver
	home string
}

func (mine) Kind() target.Kind { return target.Kind{Name: "mine"} }

func TestADriverFromOutsideIsAdded(t *testing.T) {
	before := len(Drivers(Options{}))
	t.Cleanup(func() { added = nil })
	Add(func(o Options) target.Driver { return mine{home: o.Home} })
	got := Drivers(Options{Home: "/state"})
	if d, ok := got["mine"].(mine); !ok || d.home != "/state" {
		t.Errorf("got %v", got["mine"])
	}
	if len(got) != before+1 {
		t.Errorf("there are %d drivers, and were %d before", len(got), before)
	}
}
