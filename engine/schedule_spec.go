package engine

import (
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema/cron"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

// spec is a timing as Temporal has it.
func spec(t flow.Timing) client.ScheduleSpec {
	s := client.ScheduleSpec{Jitter: t.Jitter}
	if t.Every > 0 {
		s.Intervals = []client.ScheduleIntervalSpec{{Every: t.Every}}
		return s
	}
	times, _ := cron.Parse(t.Cron) // it was checked
	s.TimeZoneName = t.Timezone
	whole := client.ScheduleCalendarSpec{
		Second: []client.ScheduleRange{{}}, Minute: ranges(times.Minute), Hour: ranges(times.Hour),
		DayOfMonth: ranges(times.Day), Month: ranges(times.Month), DayOfWeek: ranges(times.Weekday),
	}
	if !times.Either {
		s.Calendars = []client.ScheduleCalendarSpec{whole}
		return s
	}
	// Temporal wants a day to fit both, and a crontab one of them.
	byDay, byWeekday := whole, whole
	byDay.DayOfWeek = []client.ScheduleRange{{Start: 0, End: 6, Step: 1}}
	byWeekday.DayOfMonth = []client.ScheduleRange{{Start: 1, End: 31, Step: 1}}
	s.Calendars = []client.ScheduleCalendarSpec{byDay, byWeekday}
	return s
}

func ranges(all []cron.Range) []client.ScheduleRange {
	var out []client.ScheduleRange
	for _, r := range all {
		out = append(out, client.ScheduleRange{Start: r.From, End: r.To, Step: r.Step})
	}
	return out
}

// overlaps are the policies by the names that the language has for them.
var overlaps = map[string]enums.ScheduleOverlapPolicy{
	"skip":  enums.SCHEDULE_OVERLAP_POLICY_SKIP,
	"queue": enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	// All wait, and those that a newer one has overtaken leave it at that; see overtaken.
	// Temporal's BUFFER_ONE keeps the oldest, and its newer kind of schedule two of them.
	"latest": enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	"cancel": enums.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
	"allow":  enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
}
