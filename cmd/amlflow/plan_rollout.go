package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
)

// moves says step by step how requests move to what a plan deploys, with all that is
// meant where nothing was said.
func moves(stages []plan.Stage, around string) []string {
	var out []string
	for i := range stages {
		s := &stages[i]
		if s.Nested != nil {
			out = append(out, moves(s.Nested.Plan.Stages, around+s.Name+"/")...)
		}
		if s.Deploy == nil {
			continue
		}
		lines := append(movesOf(s.Deploy.Rollout), serves(s.Deploy.Serving)...)
		if len(lines) == 0 {
			continue
		}
		out = append(out, fmt.Sprintf("%s: how %s gets its requests", around+s.Name, s.Deploy.Endpoint))
		for _, line := range lines {
			out = append(out, "  "+line)
		}
	}
	return out
}

func movesOf(r *plan.Rollout) []string {
	if r == nil {
		return nil
	}
	var out []string
	for _, step := range r.Steps {
		what := fmt.Sprintf("%s %% of the requests", number(step.Weight))
		if step.Mirror > 0 {
			what = fmt.Sprintf("copies of %s %% of the requests, compared with a tolerance of %s", number(step.Mirror), number(step.Tolerance))
		}
		out = append(out, fmt.Sprintf("%s for %s%s", what, length(step.Hold), checked(step)))
	}
	out = append(out, "all requests")
	if w := r.Watch; w != nil {
		out = append(out, fmt.Sprintf("watched every %s until %s later: goes back when %s, over %s%s", length(w.Every), length(w.Hold), w.When.Text(), length(w.Over), from(w.When.Requests)))
	}
	if r.Sticky != "" {
		out = append(out, "requests with the same "+r.Sticky+" stay together")
	}
	return out
}

func checked(s plan.Step) string {
	if s.Check == nil {
		return ""
	}
	return ", then " + s.Check.Text() + " must hold" + from(s.Check.Requests)
}

// from says from how many requests on an answer means something.
func from(requests int) string {
	switch requests {
	case 0:
		return ""
	case 1:
		return " and a request"
	}
	return fmt.Sprintf(" and %d requests", requests)
}

func serves(s *plan.Serving) []string {
	if s == nil {
		return nil
	}
	var out []string
	if s.Auth != "" {
		out = append(out, "asks for a key")
	}
	if a := s.Autoscale; a != nil {
		out = append(out, fmt.Sprintf("%d to %d instances, %s %% busy; fewer after %s", a.Min, a.Max, number(100*a.Utilisation), length(a.Delay)))
	}
	if l := s.Limits; l != nil {
		out = append(out, "limits: "+limits(l))
	}
	if b := s.Batching; b != nil {
		out = append(out, fmt.Sprintf("up to %d requests in one call, waiting %s for more", b.Max, length(b.Wait)))
	}
	if s.Bytes {
		out = append(out, "requests and answers are bytes")
	}
	return out
}

func limits(l *plan.Limits) string {
	var parts []string
	if l.Concurrent > 0 {
		parts = append(parts, fmt.Sprintf("%d at once in each instance", l.Concurrent))
	}
	if l.Queue > 0 {
		parts = append(parts, fmt.Sprintf("%d wait", l.Queue))
	}
	if l.Timeout > 0 {
		parts = append(parts, "answered in "+length(l.Timeout))
	}
	if l.Drain > 0 {
		parts = append(parts, length(l.Drain)+" to finish")
	}
	return strings.Join(parts, ", ")
}

// length is a length of time without its zeros.
func length(d plan.Duration) string {
	text := time.Duration(d).String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}
