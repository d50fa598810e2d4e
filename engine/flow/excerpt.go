package flow

import (
	"slices"

	"github.com/amlflow/amlflow/workers/target"
)

// ExcerptStages is how many stages an excerpt has, about.
const ExcerptStages = 200

// leastNested is how many stages of a pipeline within an excerpt has at least.
const leastNested = 10

// Excerpt is what people look for in a run of very many stages, and how much else there
// is. To read the rest of a hundred thousand stages takes seconds.
type Excerpt struct {
	Progress *Progress `json:"progress"` // nil: there is none
	// Others are the stages that it leaves out, those that are items of others or within
	// them included, by state; nil when it has all.
	Others map[target.State]int `json:"others,omitempty"`
}

// NewExcerpt chooses about most stages of a run: those that are under way or have not
// succeeded, and others from the beginning. They stay in their order, and p as it is.
func NewExcerpt(p *Progress, most int) *Excerpt {
	x := &Excerpt{Others: map[target.State]int{}}
	x.Progress = x.of(p, &most)
	return x
}

func (x *Excerpt) of(p *Progress, room *int) *Progress {
	take := make([]bool, len(p.Stages))
	for _, want := range []func(*StageProgress) bool{(*StageProgress).telling, func(*StageProgress) bool { return true }} {
		for i := range p.Stages {
			if *room > 0 && !take[i] && want(&p.Stages[i]) {
				take[i] = true
				*room -= 1 + len(p.Stages[i].Items)
			}
		}
	}
	short := *p
	short.Stages = nil
	for i := range p.Stages {
		s := p.Stages[i]
		if !take[i] {
			x.leave(&s)
			continue
		}
		if s.Nested != nil {
			*room = max(*room, leastNested)
			s.Nested = x.of(s.Nested, room)
		}
		short.Stages = append(short.Stages, s)
	}
	return &short
}

// leave counts a stage that is left out.
func (x *Excerpt) leave(s *StageProgress) {
	x.Others[s.Status]++
	for i := range s.Items {
		x.leave(&s.Items[i])
	}
	if s.Nested != nil {
		for i := range s.Nested.Stages {
			x.leave(&s.Nested.Stages[i])
		}
	}
}

// Hear takes up what has become of a stage since, by its path. One that was left out has
// waited until now.
func (x *Excerpt) Hear(path string, now StageProgress) {
	s := x.Progress.Find(path)
	switch {
	case s != nil && !s.Status.Ended():
		now.Nested, now.Items = s.Nested, s.Items
		*s = now
	case s == nil && x.Others[target.Waiting] > 0 && path == now.Name:
		x.Others[target.Waiting]--
		x.Progress.Stages = append(x.Progress.Stages, now)
	}
}

// telling reports whether a stage is remarkable, or something of it is.
func (s *StageProgress) telling() bool {
	remarkable := func(s StageProgress) bool { return s.telling() }
	return s.Remarkable() || slices.ContainsFunc(s.Items, remarkable) || s.Nested != nil && slices.ContainsFunc(s.Nested.Stages, remarkable)
}

// Remarkable reports whether a stage is one that a person looks for among many.
func (s *StageProgress) Remarkable() bool {
	switch s.Status {
	case target.Succeeded, target.Waiting, Skipped:
		return false
	}
	return true
}
