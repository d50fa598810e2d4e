package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// ErrRemoved says that an artifact of a run is no longer kept.
var ErrRemoved = errors.New("it is no longer kept: `amlflow gc` removes what old runs have made")

// removed is the error of opening an artifact, in better words when it is not there.
func removed(b blob.Folder, ref target.Ref, err error) error {
	if b.Has(ref) {
		return err
	}
	return fmt.Errorf("%w (%s)", ErrRemoved, ref)
}

// Gone is an artifact that the record of a run names and its store no longer has.
type Gone struct {
	Stage    string     `json:"stage"`            // "nested/train", "train[3]"
	Output   string     `json:"output,omitempty"` // empty: it is the log
	Artifact target.Ref `json:"artifact"`
}

// GoneOf lists what is no longer kept of what a run made. It opens nothing, and needs
// no engine.
func GoneOf(p *flow.Progress) []Gone {
	if _, err := os.Stat(p.Store); errors.Is(err, fs.ErrNotExist) {
		return nil // another computer's: nothing is known
	}
	b, err := blob.OpenFolder(p.Store)
	if err != nil {
		return nil
	}
	return goneOf(b, p.Stages, "")
}

func goneOf(b blob.Folder, stages []flow.StageProgress, within string) (gone []Gone) {
	for i := range stages {
		s := &stages[i]
		for _, name := range slices.Sorted(maps.Keys(s.Outputs)) {
			text, _ := s.Outputs[name].(string)
			if ref := target.Ref(text); ref.Valid() && !b.Has(ref) {
				gone = append(gone, Gone{within + s.Name, name, ref})
			}
		}
		if s.Log != "" && !b.Has(s.Log) {
			gone = append(gone, Gone{Stage: within + s.Name, Artifact: s.Log})
		}
		gone = append(gone, goneOf(b, s.Items, within)...)
		if s.Nested != nil {
			gone = append(gone, goneOf(b, s.Nested.Stages, within+s.Name+"/")...)
		}
	}
	return gone
}
