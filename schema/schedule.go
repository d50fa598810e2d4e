package schema

import (
	"strconv"
	"time"
)

// Schedule says when runs of the pipeline begin by themselves. One of Cron and Every is
// set.
type Schedule struct {
	Name     string // that of the pipeline when nothing is said
	Path     string // JSON pointer: "/on/schedule/0"
	Cron     string
	Every    time.Duration
	Timezone string        // of Cron; "" means UTC
	Overlap  string        // skip, queue, latest, cancel or allow; "" means skip
	CatchUp  time.Duration // 0: nothing is said
	Jitter   time.Duration
	Params   map[string]any
	Profile  string
}

// The bounds and defaults of schedules.
const (
	DefaultOverlap = "skip"
	DefaultZone    = "UTC"
	DefaultCatchUp = 24 * time.Hour
	LeastCatchUp   = 10 * time.Second
)

// Overlaps are what a schedule may say of its runs that would be at work together.
var Overlaps = []string{"skip", "queue", "latest", "cancel", "allow"}

func (s *Source) schedules(path string) []Schedule {
	v, _ := s.Value(path)
	var all []Schedule
	for i := range asList(v) {
		at := join(path, strconv.Itoa(i))
		one := Schedule{
			Name: s.text(at + "/name"), Path: at, Cron: s.text(at + "/cron"), Every: s.duration(at + "/every"), Timezone: s.text(at + "/timezone"), Overlap: s.text(at + "/overlap"),
			CatchUp: s.duration(at + "/catch_up"), Jitter: s.duration(at + "/jitter"), Params: map[string]any{}, Profile: s.text(at + "/profile"),
		}
		if one.Name == "" {
			one.Name = s.text("/pipeline")
		}
		for _, key := range s.Keys(at + "/params") {
			if v, ok := s.Value(join(at+"/params", key)); ok && v != nil && v != refused {
				one.Params[key] = v
			}
		}
		all = append(all, one)
	}
	return all
}
