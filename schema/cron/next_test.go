package cron_test

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/schema/cron"
)

func TestNext(t *testing.T) {
	for _, c := range []struct{ text, zone, after, want string }{
		{"30 3 * * 1", "UTC", "2026-11-26T18:00:00Z", "2026-11-30T03:30:00Z"},
		{"30 3 * * 1", "UTC", "2026-11-30T03:30:00Z", "2026-12-07T03:30:00Z"},
		{"*/15 * * * *", "UTC", "2026-12-31T23:50:00Z", "2027-01-01T00:00:00Z"},
		{"0 0 1,15 * mon", "UTC", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"}, // either
		{"0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 9 * * *", "Europe/Berlin", "2026-11-26T08:30:00Z", "2026-11-27T08:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"}, // the 29th has no 2:30
	} {
		times, wrong := cron.Parse(c.text)
		zone, err := time.LoadLocation(c.zone)
		if len(wrong) > 0 || err != nil {
			t.Fatal(wrong, err)
		}
		after, _ := time.Parse(time.RFC3339, c.after)
		if got := times.Next(after.In(zone)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%q behind %s in %s: %s, want %s", c.text, c.after, c.zone, got, c.want)
		}
	}
}
