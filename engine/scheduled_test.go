package engine

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
)

// A time is left out when the next one has come, and not when that may yet be put off.
func TestOvertaken(t *testing.T) {
	at := time.Date(2026, 3, 28, 1, 30, 0, 0, time.UTC)
	hourly, berlin := flow.Timing{Every: time.Hour}, flow.Timing{Cron: "30 2 * * *", Timezone: "Europe/Berlin"}
	for _, c := range []struct {
		t     flow.Timing
		since time.Duration
		want  time.Duration // behind at; 0: it is not overtaken
	}{
		{hourly, 0, 0}, {hourly, 29 * time.Minute, 0}, {hourly, 30 * time.Minute, 30 * time.Minute}, {hourly, 5 * time.Hour, 30 * time.Minute},
		{flow.Timing{Every: time.Hour, Jitter: 2 * time.Hour}, 2 * time.Hour, 0},
		{berlin, 24 * time.Hour, 0}, {berlin, 47 * time.Hour, 47 * time.Hour}, // a night has no half past two
	} {
		got := overtaken(c.t, at, at.Add(c.since))
		if want := at.Add(c.want); c.want == 0 && !got.IsZero() || c.want > 0 && !got.Equal(want) {
			t.Errorf("%+v after %s: %s", c.t, c.since, got)
		}
	}
}
