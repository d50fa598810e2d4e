package main

import (
	"fmt"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/batch"
)

// dealt says how a batch is dealt out: "scores 100 files at a time, 4 at once".
func dealt(b *plan.Batch) string {
	what := map[string]string{"files": "file", "lines": "line", "csv": "row", "jsonl": "value"}[b.Items]
	text := "scores " + count(b.Size, what)
	if b.Bytes > 0 {
		text = fmt.Sprintf("scores %s of %ss", size(b.Bytes), what)
	}
	text += " at a time"
	if b.Parallel > 1 {
		text += fmt.Sprintf(", %d at once", b.Parallel)
	} else if b.Processes > 1 {
		text += fmt.Sprintf(", %d at once on each node", b.Processes)
	}
	return text
}

// numbersOf are the metrics of a stage; of one that scores, how far it has come.
func numbersOf(s *flow.StageProgress) string {
	if _, counts := s.Metrics["items"]; s.Unit != "" && counts {
		return batch.Progress(s.Unit, s.Metrics)
	}
	return metrics(s.Metrics)
}
