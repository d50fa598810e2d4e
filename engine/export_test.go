package engine

import (
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers/target"
)

// RecordIn is for tests that have a workflow's end from elsewhere.
var RecordIn = recordIn

// Timed is Activities by another clock.
func Timed(drivers map[string]target.Driver, home string, c stretch.Clock) func(Registry) {
	return activitiesAt(drivers, home, c)
}
