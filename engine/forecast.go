package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Forecast says what a run of the plan would do now with each of its stages. It
// writes nothing and needs no engine: earlier results are found in the artifact
// store.
func (p *Prepared) Forecast(ctx context.Context) []flow.Foresight {
	var blobs target.Blobs = blob.Digests{}
	if _, err := os.Stat(p.Store); err == nil { // opening a store that is not there would make it
		if store, err := blob.OpenFolder(p.Store); err == nil {
			blobs = lookOnly{store}
		}
	}
	in := flow.Input{Run: "plan", Plan: *p.Plan, Store: p.Store, Dir: p.Workspace.Dir}
	return flow.Forecast(in, flow.Oracle{
		Evaluate: func(e flow.Evaluation) (flow.Evaluated, error) { return evaluate(ctx, e) },
		Recall:   func(s workers.Submission) (workers.Outcome, string, bool) { return workers.Recall(ctx, blobs, s) },
		Gather: func(list string) (target.Ref, error) {
			var refs []target.Ref
			if err := json.Unmarshal([]byte(list), &refs); err != nil {
				return "", fmt.Errorf("%.60q is not a list of artifacts", list)
			}
			return workers.Join(ctx, blobs, refs)
		},
	})
}

// lookOnly reads a store and names what it is given without keeping it.
type lookOnly struct{ blob.Folder }

func (lookOnly) Put(ctx context.Context, r io.Reader) (target.Ref, error) {
	return blob.Digests{}.Put(ctx, r)
}

func (l lookOnly) Use(ctx context.Context, ref target.Ref) error {
	all, err := target.Contents(ctx, l.Folder, ref)
	for _, part := range all {
		r, openErr := l.Open(ctx, part)
		if err = errors.Join(err, openErr); openErr == nil {
			err = errors.Join(err, r.Close())
		}
	}
	return err
}

func (lookOnly) UseRecord(context.Context, string) error { return nil }
