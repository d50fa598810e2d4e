package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
)

func (p *program) listSchedules(all []engine.Schedule) error {
	switch p.output {
	case "json":
		if all == nil {
			all = []engine.Schedule{}
		}
		return p.json(map[string]any{"schedules": all})
	case "name":
		for _, s := range all {
			p.print("%s", s.Name)
		}
		return nil
	}
	if len(all) == 0 {
		p.say("there is no schedule; `%s schedule add FILE` makes those that a pipeline says", invocation())
		return nil
	}
	rows := [][]string{p.heading("SCHEDULE", "PIPELINE", "WHEN", "NEXT", "LAST", "STATUS", "RUN")}
	for i := range all {
		s := &all[i]
		row := []string{s.Name, s.Pipeline, timesOf(s.Timing), comes(s), "", "", ""}
		if len(s.Firings) > 0 {
			f := s.Firings[0]
			row[4], row[5], row[6] = ago(f.At), state(p.colourOut, f.Status), f.Run
		}
		rows = append(rows, row)
	}
	table(p.out, rows)
	return nil
}

// timesOf says the times of a schedule.
func timesOf(t engine.Timing) string {
	if t.Every != "" {
		return "every " + t.Every
	}
	return t.Cron + " " + t.Timezone
}

func comes(s *engine.Schedule) string {
	switch {
	case s.Paused:
		return "paused"
	case len(s.Next) == 0:
		return "never"
	}
	return "in " + took(time.Until(s.Next[0]))
}

// upcoming is what a sentence about a schedule ends with.
func upcoming(s *engine.Schedule) string {
	if s.Paused || len(s.Next) == 0 {
		return ""
	}
	return fmt.Sprintf("; the next at %s", clock(s, s.Next[0]))
}

// clock is a time in the schedule's own time zone.
func clock(s *engine.Schedule, t time.Time) string {
	zone, err := time.LoadLocation(s.Timing.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return t.In(zone).Format("Mon 2006-01-02 15:04:05 MST")
}

func (p *program) showSchedule(s *engine.Schedule) {
	rows := [][]string{
		{"schedule", p.paintOut(bold, s.Name)}, {"pipeline", s.Pipeline}, {"file", s.File}, {"plan", s.Plan}, {"profile", s.Profile}, {"params", params(s.Params)},
		{"when", timesOf(s.Timing)}, {"overlap", s.Timing.Overlap}, {"catch up", s.Timing.CatchUp}, {"jitter", s.Timing.Jitter},
		{"added", clock(s, s.Added)}, {"runs", fmt.Sprint(s.Runs)},
	}
	if !s.Changed.IsZero() {
		rows = append(rows, []string{"changed", clock(s, s.Changed)})
	}
	if s.Skipped > 0 {
		rows = append(rows, []string{"skipped", fmt.Sprintf("%d times, because an earlier run went on", s.Skipped)})
	}
	if s.Missed > 0 {
		rows = append(rows, []string{"missed", fmt.Sprintf("%d times, while the background server was away", s.Missed)})
	}
	if s.Paused {
		rows = append(rows, []string{"paused", p.paintOut(yellow, clean(s.Note))})
	}
	for i, t := range s.Next[:min(len(s.Next), 5)] {
		name := ""
		if i == 0 {
			name = "next"
		}
		rows = append(rows, []string{name, clock(s, t)})
	}
	var told [][]string
	for _, r := range rows {
		if r[1] != "" {
			told = append(told, r)
		}
	}
	table(p.out, told)
	if len(s.Firings) == 0 {
		return
	}
	p.print("")
	rows = [][]string{p.heading("TIME", "RUN", "STATUS", "TOOK", "WHY")}
	for _, f := range s.Firings {
		rows = append(rows, []string{clock(s, f.At), or(f.Run, "-"), state(p.colourOut, f.Status), span(f.At, f.Ended), clean(f.Why)})
	}
	table(p.out, rows)
}

// added is what adding a schedule did, as machines read it.
type added struct {
	*engine.Schedule
	Did     string `json:"did"` // added, changed or nothing
	Changes any    `json:"changes,omitempty"`
}

func (p *program) showAdded(all []*engine.Rescheduled) error {
	var list []added
	for _, r := range all {
		a := added{Schedule: r.Schedule, Did: "added"}
		words := retimed(r)
		switch {
		case r.New:
		case len(words) == 0 && r.Plan.Empty() && r.Note == "":
			a.Did = "nothing"
		default:
			a.Did, a.Changes = "changed", map[string]any{"timing": words, "plan": r.Plan}
		}
		list = append(list, a)
		if p.output == "json" {
			continue
		}
		p.saySchedule(a, r, words)
	}
	if p.output == "json" {
		return p.json(map[string]any{"schedules": list})
	}
	return nil
}

func (p *program) saySchedule(a added, r *engine.Rescheduled, words []string) {
	did := map[string]string{"added": "is added", "changed": "is changed", "nothing": "is as it was"}[a.Did]
	paused := ""
	if a.Paused {
		paused = fmt.Sprintf("; it is paused: `%s schedule resume %s`", invocation(), a.Name)
	}
	p.print("schedule %s %s: %s%s%s", a.Name, did, timesOf(a.Timing), paused, upcoming(a.Schedule))
	for _, w := range words {
		p.print("  %s", w)
	}
	if r.Note != "" {
		p.print("  %s", r.Note)
	}
	if !r.New && !r.Plan.Empty() {
		p.print("what its runs do otherwise from now on:")
		p.print("%s", strings.TrimRight(r.Plan.Text(), "\n"))
	}
}

// retimed says what differs in when and how a schedule begins runs.
func retimed(r *engine.Rescheduled) (words []string) {
	if r.New {
		return nil
	}
	was, now := r.Before, r.Schedule
	for _, x := range []struct{ name, was, now string }{
		{"when", timesOf(was.Timing), timesOf(now.Timing)}, {"overlap", was.Timing.Overlap, now.Timing.Overlap}, {"catch_up", was.Timing.CatchUp, now.Timing.CatchUp},
		{"jitter", was.Timing.Jitter, now.Timing.Jitter}, {"profile", was.Profile, now.Profile}, {"file", was.File, now.File}, {"pipeline", was.Pipeline, now.Pipeline}, {"params", params(was.Params), params(now.Params)},
	} {
		if x.was != x.now {
			words = append(words, fmt.Sprintf("%s: %s, was %s", x.name, or(x.now, "nothing"), or(x.was, "nothing")))
		}
	}
	if was.Paused != now.Paused {
		words = append(words, "it is paused now")
	}
	return words
}
