//go:build !slim

package cluster

import (
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

// unbounded lifts a limit that protects a shared cluster from one of its tenants: here there is only one.
const unbounded = 1_000_000

// tuning is where one user on one machine differs from a shared cluster.
func tuning() dynamicconfig.StaticClient {
	t := dynamicconfig.StaticClient{}
	for key, value := range map[string]any{
		// The server would ask its makers over the network whether there is a newer one.
		"frontend.enableServerVersionCheck": false,
		// The system worker that would do this does not run; the history service does it in line.
		"system.enableParentClosePolicyWorker": false,
		// Nor would it run schedules. The history service does, for those that are made so.
		"history.enableCHASMSchedulerCreation":         true,
		"history.chasmSchedulerCreationRolloutPercent": 100,

		// A shard looks for new work at most 20 times a second by default, so every sequential step waits 50 ms.
		"history.transferProcessorMaxPollRPS":   1000,
		"history.timerProcessorMaxPollRPS":      100,
		"history.visibilityProcessorMaxPollRPS": 100,
		// Timers are read this far ahead, and a new one is put behind what was read: by default it may be a second late.
		"history.timerProcessorMaxTimeShift": 20 * time.Millisecond,
		// A workflow that continues as new within a second of its start is held back for the rest of that second by default.
		"history.workflowIdReuseMinimalInterval": time.Duration(0),
		// Somebody who waits for the end of a run may miss the wake-up, and then sleeps for this long (20 s by default).
		"history.longPollExpirationInterval": time.Second,

		"frontend.persistenceMaxQPS":              unbounded,
		"history.persistenceMaxQPS":               unbounded,
		"matching.persistenceMaxQPS":              unbounded,
		"frontend.rps":                            unbounded,
		"frontend.namespaceRPS":                   unbounded,
		"frontend.namespaceRPS.visibility":        unbounded,
		"frontend.namespaceCount":                 unbounded, // long polls at a time
		"history.rps":                             unbounded,
		"matching.rps":                            unbounded,
		"system.visibilityPersistenceMaxReadQPS":  unbounded,
		"system.visibilityPersistenceMaxWriteQPS": unbounded,

		// One process does not gain from partitions: a poller and a task that meet at once need no forwarding.
		"matching.numTaskqueueReadPartitions":  1,
		"matching.numTaskqueueWritePartitions": 1,

		// Namespaces do not come and go here, so looking for new ones every two seconds would only keep a laptop awake.
		"system.namespaceCacheRefreshInterval": time.Minute,
		// Caches sized for a laptop: the default is half a gigabyte of events.
		"history.eventsHostLevelCacheMaxSizeBytes": 64 << 20,
		"history.hostLevelCacheMaxSize":            10_000,
	} {
		t[dynamicconfig.MakeKey(key)] = value
	}
	return t
}
