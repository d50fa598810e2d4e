// Package cron reads times as a crontab writes them, and says of each mistake where it
// is and what to write. It also knows the names of time zones.
package cron

import (
	"fmt"
	"strings"
)

// Times is what the five fields of a line say. Without its own times of a field, it
// has the field's whole range.
type Times struct {
	Minute, Hour, Day, Month, Weekday []Range
	// Either tells that a day fits when its number or its weekday does. So it is when
	// both fields say something; else it must fit both.
	Either bool
}

// Range is From, From+Step, … up to To.
type Range struct{ From, To, Step int }

// Mistake is what is wrong with a part of the text.
type Mistake struct {
	From, End  int // bytes of the text
	What, Cure string
}

// field is one of the five.
type field struct {
	name        string
	least, most int
	names       []string // of its values, from least on
}

var fields = []field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// shorthands are names for lines.
var shorthands = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

const example = "write five fields: minute, hour, day of the month, month, day of the week; \"30 3 * * 1\" is 03:30 on Mondays"

// Parse reads a line, and returns all its mistakes.
func Parse(text string) (Times, []Mistake) {
	if line, ok := shorthands[strings.ToLower(strings.TrimSpace(text))]; ok {
		return Parse(line)
	}
	words := split(text)
	if wrong := shape(text, words); wrong != nil {
		return Times{}, []Mistake{*wrong}
	}
	var mistakes []Mistake
	got := make([][]Range, len(fields))
	for i, f := range fields {
		ranges, wrong := f.read(words[i])
		got[i], mistakes = ranges, append(mistakes, wrong...)
	}
	t := Times{Minute: got[0], Hour: got[1], Day: got[2], Month: got[3], Weekday: sundays(got[4])}
	t.Either = !words[2].open() && !words[4].open()
	if len(mistakes) == 0 && !t.possible() {
		mistakes = append(mistakes, Mistake{words[2].at, words[3].at + len(words[3].text), "no year has such a day", "write a day that one of these months has"})
	}
	return t, mistakes
}

// word is a part of the text, and where it is.
type word struct {
	text string
	at   int
}

// open reports whether a field of days leaves the choice to the other one.
func (w word) open() bool { return strings.HasPrefix(w.text, "*") || w.text == "?" }

func split(text string) []word {
	return parts(text, func(c byte) bool { return c == ' ' || c == '\t' })
}

func parts(text string, between func(byte) bool) []word {
	var out []word
	from := -1
	for i := 0; i <= len(text); i++ {
		switch in := i < len(text) && !between(text[i]); {
		case in && from < 0:
			from = i
		case !in && from >= 0:
			out, from = append(out, word{text[from:i], from}), -1
		}
	}
	return out
}

// shape refuses what does not have five fields.
func shape(text string, words []word) *Mistake {
	whole := func(what, cure string) *Mistake { return &Mistake{0, len(text), what, cure} }
	switch {
	case len(words) == 0:
		return whole("it names no time", example)
	case words[0].text == "@every" && len(words) == 2:
		return whole("`@every` is a key of its own here", fmt.Sprintf("write `every: %s` instead of `cron`", words[1].text))
	case words[0].text == "@reboot":
		return whole("a schedule does not follow the starts of a computer", "run the pipeline from a unit of systemd, or from crontab")
	case strings.HasPrefix(words[0].text, "@"):
		return whole(fmt.Sprintf("there is no %q", words[0].text), "write @hourly, @daily, @weekly, @monthly or @yearly, or five fields")
	case strings.HasPrefix(words[0].text, "TZ=") || strings.HasPrefix(words[0].text, "CRON_TZ="):
		_, zone, _ := strings.Cut(words[0].text, "=")
		return &Mistake{words[0].at, words[0].at + len(words[0].text), "the time zone has a key of its own", fmt.Sprintf("write `timezone: %s` beside `cron`", zone)}
	case len(words) == 6:
		return whole("it has six fields, and a crontab has five: there are no seconds and no years", fmt.Sprintf("write %q; for times within a minute write `every: 10s`", join(words[1:])))
	case len(words) != len(fields):
		return whole(fmt.Sprintf("it has %s, and a crontab has five", count(len(words))), example)
	}
	return nil
}

func count(n int) string {
	if n == 1 {
		return "one field"
	}
	return fmt.Sprintf("%d fields", n)
}

func join(words []word) string {
	var all []string
	for _, w := range words {
		all = append(all, w.text)
	}
	return strings.Join(all, " ")
}

// sundays makes 0 of 7, which some write for Sunday.
func sundays(all []Range) []Range {
	var out []Range
	seven := false
	for _, r := range all {
		for n := r.From; n <= r.To; n += r.Step {
			seven = seven || n == 7
		}
		if r.To = min(r.To, 6); r.From <= r.To {
			out = append(out, r)
		}
	}
	if seven {
		out = append(out, Range{0, 0, 1})
	}
	return out
}

// days is how many days a month may have.
var days = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// possible reports whether any date fits.
func (t Times) possible() bool {
	if t.Either {
		return true
	}
	for month := 1; month <= 12; month++ {
		for day := 1; day <= days[month]; day++ {
			if in(t.Month, month) && in(t.Day, day) {
				return true
			}
		}
	}
	return false
}

func in(all []Range, n int) bool {
	for _, r := range all {
		if n >= r.From && n <= r.To && (n-r.From)%r.Step == 0 {
			return true
		}
	}
	return false
}
