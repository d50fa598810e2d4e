package engine

import (
	"context"
	"errors"
	"io"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
)

// Tracked is the name under which people find what a stage has logged to MLflow, among
// its outputs.
const Tracked = "mlflow"

// metrics adds all that the stages have reported of metrics.
func (x *exporter) metrics(ctx context.Context) error {
	b, err := blob.OpenFolder(x.run.Store)
	if err != nil {
		return err
	}
	var failed error
	leaves(x.run.Stages, "", func(name string, s *flow.StageProgress) {
		if s.History == "" || failed != nil {
			return
		}
		file := "metrics/" + name + ".jsonl"
		r, err := b.Open(ctx, s.History)
		if err != nil {
			x.lack("%s, the metrics of stage %q: %v", file, name, removed(b, s.History, err))
			return
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err == nil {
			err = x.write(file, text)
		}
		failed = err
	})
	return failed
}
