package local

import (
	"path/filepath"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Waiter = Driver{}

// Wait implements target.Waiter. Of several ranks it waits for the first that this
// program has started and that is alive; when it ends the next is waited for.
func (d Driver) Wait(_ target.Target, id string) <-chan struct{} {
	f, err := d.folder(id)
	if err != nil {
		return nil
	}
	if c := jobdir.Ends(f.rank(0)); c != nil {
		return c
	}
	others, _ := filepath.Glob(f.path("ranks", "*"))
	for _, dir := range others {
		if c := jobdir.Ends(dir); c != nil {
			return c
		}
	}
	return nil
}
