package tune

import "math"

// Curve is what a trial has reported of the objective, as far as somebody may ask again.
type Curve struct {
	Reports int     `json:"reports,omitempty"`
	Steps   float64 `json:"steps,omitempty"` // that it has done
	Stepped bool    `json:"stepped,omitempty"`
	// FromZero tells that its first step was called 0, so that step 4 is the fifth.
	FromZero bool    `json:"from_zero,omitempty"`
	Last     float64 `json:"last,omitempty"`
	Best     float64 `json:"best,omitempty"`
	Sum      float64 `json:"sum,omitempty"`
	Marks    []Mark  `json:"marks,omitempty"` // rising
}

// Mark is how a trial stood where it was judged.
type Mark struct {
	At   int     `json:"at"` // the number of the judgement, or of the rung
	Last float64 `json:"last"`
	Best float64 `json:"best"`
	Mean float64 `json:"mean"`
}

// Report is one value of the objective. Without Stepped each is a step.
type Report struct {
	Step    float64
	Stepped bool
	Value   float64
}

// worst is what a value counts for that is no number: a model that has diverged.
const worst = 1e300

// Number is the last value, if it is a number.
func (c *Curve) Number() (v float64, ok bool) {
	return c.Last, c.Reports > 0 && math.Abs(c.Last) < worst
}

// Add takes a report. It tells whether the trial is to be judged now. What was reported
// before, by an attempt that this one goes on from, counts once.
func (c *Curve) Add(s Stop, g Goal, r Report) (judge bool) {
	if math.IsNaN(r.Value) || math.Abs(r.Value) > worst {
		r.Value = -g.cost(-worst)
	}
	if c.Reports == 0 {
		c.Stepped, c.FromZero = r.Stepped, r.Stepped && r.Step == 0
	}
	steps := c.Steps + 1
	switch {
	case c.Stepped && !r.Stepped || !c.Stepped && r.Stepped: // a word on the end, or on the beginning
		c.Last = r.Value
		return false
	case c.Stepped:
		if steps = r.Step; c.FromZero {
			steps++
		}
	}
	if c.Reports > 0 && steps <= c.Steps {
		if steps == c.Steps {
			c.Last = r.Value
		}
		return false
	}
	if c.Reports == 0 || g.Better(r.Value, c.Best) {
		c.Best = r.Value
	}
	c.Reports, c.Steps, c.Last, c.Sum = c.Reports+1, steps, r.Value, c.Sum+r.Value
	at, ok := s.judged(c.Steps)
	if !ok || len(c.Marks) > 0 && c.Marks[len(c.Marks)-1].At >= at {
		return false
	}
	c.mark(at)
	return true
}

func (c *Curve) mark(at int) {
	c.Marks = append(c.Marks, Mark{At: at, Last: c.Last, Best: c.Best, Mean: c.Sum / float64(c.Reports)})
}

// last is the latest mark.
func (c *Curve) latest() (m Mark, ok bool) {
	if len(c.Marks) == 0 {
		return m, false
	}
	return c.Marks[len(c.Marks)-1], true
}

// by is the latest mark up to at.
func (c *Curve) by(at int) (m Mark, ok bool) {
	for i := len(c.Marks) - 1; i >= 0; i-- {
		if c.Marks[i].At <= at {
			return c.Marks[i], true
		}
	}
	return m, false
}

// reached is that mark of a trial which has come as far as at.
func (c *Curve) reached(at int) (m Mark, ok bool) {
	if last, ok := c.latest(); !ok || last.At < at {
		return m, false
	}
	return c.by(at)
}
