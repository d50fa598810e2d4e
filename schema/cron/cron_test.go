package cron_test

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/schema/cron"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	all := func(from, to int) []cron.Range { return []cron.Range{{From: from, To: to, Step: 1}} }
	for text, want := range map[string]cron.Times{
		"30 3 * * 1":         {Minute: all(30, 30), Hour: all(3, 3), Day: all(1, 31), Month: all(1, 12), Weekday: all(1, 1)},
		" 0  0 1 jan ? ":     {Minute: all(0, 0), Hour: all(0, 0), Day: all(1, 1), Month: all(1, 1), Weekday: all(0, 6)},
		"@daily":             {Minute: all(0, 0), Hour: all(0, 0), Day: all(1, 31), Month: all(1, 12), Weekday: all(0, 6)},
		"*/15 9-17 * * 5-7":  {Minute: []cron.Range{{From: 0, To: 59, Step: 15}}, Hour: all(9, 17), Day: all(1, 31), Month: all(1, 12), Weekday: []cron.Range{{From: 5, To: 6, Step: 1}, {From: 0, To: 0, Step: 1}}},
		"5/20 0 * * FRI-sun": {Minute: []cron.Range{{From: 5, To: 59, Step: 20}}, Hour: all(0, 0), Day: all(1, 31), Month: all(1, 12), Weekday: []cron.Range{{From: 5, To: 6, Step: 1}, {From: 0, To: 0, Step: 1}}},
		"0 0 1,15 * mon":     {Minute: all(0, 0), Hour: all(0, 0), Day: []cron.Range{{From: 1, To: 1, Step: 1}, {From: 15, To: 15, Step: 1}}, Month: all(1, 12), Weekday: all(1, 1), Either: true},
	} {
		got, wrong := cron.Parse(text)
		if d := cmp.Diff(want, got); d != "" || len(wrong) > 0 {
			t.Errorf("%q: %v\n%s", text, wrong, d)
		}
	}
}

// Each line of what is wanted is a part of the text and what is said of it.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "|it names no time",
		"0 25 * * 8":       "25|there is no hour 25\n8|there is no day of the week 8",
		"0 3 31 2 *":       "31 2|no year has such a day",
		"0 3 * *":          "0 3 * *|it has 4 fields, and a crontab has five",
		"0 0 3 * * 1":      "0 0 3 * * 1|it has six fields, and a crontab has five: there are no seconds and no years",
		"@every 5m":        "@every 5m|`@every` is a key of its own here",
		"@nightly":         "@nightly|there is no \"@nightly\"",
		"@reboot":          "@reboot|a schedule does not follow the starts of a computer",
		"TZ=UTC 0 3 * * 1": "TZ=UTC|the time zone has a key of its own",
		"0 3 L * *":        "L|\"L\" is of another scheduler, and means nothing here",
		"*/0 3 * * *":      "0|\"0\" is no step for the minute",
		"30-10 3 * * mun":  "30-10|the minute cannot go from 30 to 10\nmun|\"mun\" is no day of the week",
		"1,,2 3 * * *":     ",|the minute has an empty place",
		"0 3-x * * *":      "x|\"x\" is no hour",
	} {
		_, wrong := cron.Parse(text)
		var got []string
		for _, m := range wrong {
			got = append(got, text[m.From:min(m.End, len(text))]+"|"+m.What)
			if m.Cure == "" {
				t.Errorf("%q: no cure for: %s", text, m.What)
			}
		}
		if d := cmp.Diff(want, strings.Join(got, "\n")); d != "" {
			t.Errorf("%q:\n%s", text, d)
		}
	}
}

func TestZones(t *testing.T) {
	for _, name := range cron.Zones() {
		if !cron.KnowsZone(name) {
			t.Errorf("%q is proposed, and not known", name)
		}
	}
	for _, name := range []string{"", "Local", "Europe/Berlim", "../etc/passwd", "CEST"} {
		if cron.KnowsZone(name) {
			t.Errorf("%q is known", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"0 3 * * 1", "@daily", "*/5 1-3,7 ? jan-mar 5-7", "L W # - /"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		times, wrong := cron.Parse(text)
		for _, m := range wrong {
			if m.From < 0 || m.From > m.End || m.From > len(text) || m.What == "" || m.Cure == "" {
				t.Errorf("%q: %+v", text, m)
			}
		}
		for _, r := range append(append(times.Minute, times.Hour...), times.Weekday...) {
			if len(wrong) == 0 && (r.From > r.To || r.Step < 1 || r.To > 59) {
				t.Errorf("%q: %+v", text, times)
			}
		}
	})
}
