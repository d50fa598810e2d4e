package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/jobdir"
)

const stateFile = "state.json"

// state is the content of state.json.
type state struct {
	// Settings are those of the target as it was last submitted to.
	Settings json.RawMessage  `json:"settings"`
	Cluster  schedule.Cluster `json:"cluster"`
	// Confided are the jobs in the queue that start only with the values of their secrets.
	Confided map[string]bool `json:"confided,omitempty"`
	Trouble  string          `json:"trouble,omitempty"` // what went wrong in the last pass, for people
	Coming   string          `json:"coming,omitempty"`  // what nodes that are on their way wait for, for people
	Machine  string          `json:"machine,omitempty"` // the computer of whose shares a cluster of several state folders is
	Home     string          `json:"home,omitempty"`    // the state folder of the run whose cluster it is
	// Over tells that the run has ended whose cluster it is; Past what the nodes of those that
	// have vanished have cost, by their names.
	Over bool                     `json:"over,omitempty"`
	Past map[string]time.Duration `json:"past,omitempty"`
}

// read reads what is known of a cluster; nothing, when it was never used.
func (p place) read() (*state, error) {
	st := &state{}
	path := filepath.Join(string(p), stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err == nil {
		err = json.Unmarshal(text, st)
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of the cluster in %q: %w: when nothing of it runs, remove the folder", path, err)
	}
	return st, nil
}

// keeper writes a state when it differs from what was written last. The caller holds the
// lock of the place.
type keeper struct {
	place place
	last  string
}

func (k *keeper) save(st *state) error {
	for id := range st.Confided {
		if !st.Cluster.Has(id) {
			delete(st.Confided, id)
		}
	}
	text, err := json.Marshal(st)
	if err != nil || string(text) == k.last {
		return err
	}
	if err := jobdir.WriteDurable(string(k.place), stateFile, text); err != nil {
		return fmt.Errorf("write down how the cluster is: %w", err)
	}
	k.last = string(text)
	return nil
}
