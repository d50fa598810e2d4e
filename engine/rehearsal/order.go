package rehearsal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"
)

// began reports whether a stage did anything.
func began(s *flow.StageProgress) bool {
	return !s.Started.IsZero() && s.Status != flow.Skipped && s.Status != target.Waiting
}

// ran holds a list of stages against those that ran, and against the order in which
// they began.
func (j *judge) ran(want *schema.Names, made *plan.Plan, p *flow.Progress) {
	for i, name := range want.List {
		s, at := p.Find(name), fmt.Sprintf("%s/%d", want.Path, i)
		switch {
		case slices.Contains(want.List[:i], name):
			j.value("bad-test", at, "leave it out here: a stage begins once", "stage %q is on the path twice", name)
		case s == nil:
			j.value("test-failed", at, absent(name, p), "stage %q was expected to run, and it did not", name)
		case !began(s):
			j.value("test-failed", at, said(s), "stage %q was expected to run, and it %s", name, did[s.Status])
		}
	}
	j.surplus(want, p, "")
	j.inOrder(want, made, p)
}

// surplus reports stages that ran and are not on the list. Those of a pipeline inside
// count when the list names one of them.
func (j *judge) surplus(want *schema.Names, p *flow.Progress, around string) {
	for i := range p.Stages {
		s := &p.Stages[i]
		name := around + s.Name
		if began(s) && !slices.Contains(want.List, name) {
			j.key("test-failed", want.Path, "add it to the path if that is right", "stage %q ran, and it is not on the path", name)
		}
		inside := func(n string) bool { return strings.HasPrefix(n, name+"/") }
		if s.Nested != nil && slices.ContainsFunc(want.List, inside) {
			j.surplus(want, s.Nested, name+"/")
		}
	}
}

// inOrder reports the first stage on the list that began before one to its left.
func (j *judge) inOrder(want *schema.Names, made *plan.Plan, p *flow.Progress) {
	var latest time.Time
	last := ""
	place := map[string]int{}
	for i, name := range want.List {
		place[name] = i
	}
	wrong := func(i int, first, then string) {
		j.value("test-failed", fmt.Sprintf("%s/%d", want.Path, i), fmt.Sprintf("write %s before %s if that is right", first, then), "stage %q was expected to begin after %q, and it began before", first, then)
	}
	for i, name := range want.List {
		s := p.Find(name)
		if s == nil || !began(s) {
			continue
		}
		if s.Started.Before(latest) {
			wrong(i, name, last)
			return
		}
		if s.Started.After(latest) {
			latest, last = s.Started, name
		}
		for _, earlier := range before(made, name) {
			if at, listed := place[earlier]; listed && at > i {
				wrong(at, earlier, name)
				return
			}
		}
	}
}

// before lists the stages that must have begun before a stage can.
func before(made *plan.Plan, path string) []string {
	var all []string
	around := ""
	for p := made; ; {
		name, rest, deeper := strings.Cut(path[len(around):], "/")
		s := p.Stage(name)
		if s == nil {
			return all
		}
		for _, need := range needed(p, s) {
			all = append(all, around+need)
		}
		if !deeper || s.Nested == nil || rest == "" {
			return all
		}
		all = append(all, around+name)
		around, p = around+name+"/", s.Nested.Plan
	}
}

// needed lists all that a stage waits for, and what those wait for.
func needed(p *plan.Plan, s *plan.Stage) []string {
	seen := map[string]bool{}
	var all []string
	for queue := waitsFor(p, s); len(queue) > 0; {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name], all = true, append(all, name)
		queue = append(queue, waitsFor(p, p.Stage(name))...)
	}
	return all
}

func waitsFor(p *plan.Plan, s *plan.Stage) []string {
	var names []string
	for _, n := range s.Needs {
		names = append(names, n.Stage)
	}
	for i := range p.Stages {
		if s.Finally && !p.Stages[i].Finally {
			names = append(names, p.Stages[i].Name)
		}
	}
	return names
}

// skipped holds a list of stages against those that were skipped.
func (j *judge) skipped(want *schema.Names, p *flow.Progress) {
	for i, name := range want.List {
		s, at := p.Find(name), fmt.Sprintf("%s/%d", want.Path, i)
		switch {
		case s == nil:
			j.value("test-failed", at, absent(name, p), "stage %q was expected to be skipped, and it is not there", name)
		case s.Status != flow.Skipped:
			j.value("test-failed", at, said(s), "stage %q was expected to be skipped, and it %s", name, did[s.Status])
		}
	}
	j.alsoSkipped(want, p, "")
}

func (j *judge) alsoSkipped(want *schema.Names, p *flow.Progress, around string) {
	for i := range p.Stages {
		s := &p.Stages[i]
		name := around + s.Name
		if s.Status == flow.Skipped && !slices.Contains(want.List, name) {
			j.key("test-failed", want.Path, said(s), "stage %q was skipped, and it is not on the list", name)
		}
		if s.Nested != nil && slices.ContainsFunc(want.List, func(n string) bool { return strings.HasPrefix(n, name+"/") }) {
			j.alsoSkipped(want, s.Nested, name+"/")
		}
	}
}
