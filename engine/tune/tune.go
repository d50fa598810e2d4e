// Package tune chooses the settings of trials and says which of them to stop. It is
// pure: what it answers follows from the seed and from what it is told, in that order,
// so that who was killed goes on exactly as it would have.
package tune

// Goal is what a sweep is for.
type Goal struct {
	Metric   string `json:"metric"`
	Maximize bool   `json:"maximize,omitempty"` // else the least is the best
}

// Better reports whether a is strictly better than b.
func (g Goal) Better(a, b float64) bool {
	if g.Maximize {
		return a > b
	}
	return a < b
}

// cost is a value turned so that the least is the best.
func (g Goal) cost(v float64) float64 {
	if g.Maximize {
		return -v
	}
	return v
}

// The kinds of algorithm.
const (
	Random = "random"
	Grid   = "grid"
	Sobol  = "sobol"
	TPE    = "tpe"
)

// Algorithm chooses the settings of trials.
type Algorithm struct {
	Kind string `json:"kind"`
	Seed int    `json:"seed"`
	// Startup is how many trials are random before those of TPE, and Candidates among
	// how many each of its choices is made.
	Startup    int `json:"startup,omitempty"`
	Candidates int `json:"candidates,omitempty"`
}

// Outcome is how far a trial has come, as an algorithm sees it.
type Outcome string

// The outcomes of trials.
const (
	Pending  Outcome = "pending"  // it is under way
	Complete Outcome = "complete" // it came to its end
	Stopped  Outcome = "stopped"  // it was stopped, after some steps
	Failed   Outcome = "failed"   // it has no value
)

// Told is what an algorithm is told of a trial.
type Told struct {
	Settings Settings
	Outcome  Outcome
	Value    float64 // of the objective; of Complete and Stopped
	Steps    float64 // of Stopped: how many it has done
}

// Settings are the values of one trial, by the name of the parameter. A number is a
// float64, also a whole one; a choice is what the space has.
type Settings map[string]any

// Next are the settings of the trial that comes behind those of told. It is false when
// there are no more: a grid has an end.
func (a Algorithm) Next(s Space, g Goal, told []Told) (Settings, bool) {
	n := uint64(len(told))
	switch a.Kind {
	case Grid:
		return s.combination(n)
	case Sobol:
		return s.at(sobolPoint(a.Seed, n, len(s))), true
	case TPE:
		return a.tpe(s, g, told), true
	}
	return s.at(newSource(a.Seed, n).point(len(s))), true
}
