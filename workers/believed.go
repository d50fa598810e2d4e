//go:build !planted

package workers

import "github.com/amlflow/amlflow/workers/target"

// believed is how a job ended: as its target says. A build with the tag planted
// errs here on purpose, and the fault harness must notice (docs/faults.md).
func believed(st target.Status) target.Status { return st }
