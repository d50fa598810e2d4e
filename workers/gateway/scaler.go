package gateway

import (
	"math"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// The defaults of target.Scale, and how fast a change of the load is believed.
const (
	defaultUtilisation = 0.7
	defaultDelay       = time.Minute
	believe            = 500 * time.Millisecond
	slack              = 0.05 // of an instance, that is not worth another
)

// scaler decides how many instances there are to be. It has no clock.
type scaler struct {
	min, max int
	per      float64 // requests at once that one instance is to have
	delay    time.Duration

	load  float64 // smoothed
	at    time.Time
	needs []needed // the most that were needed, later ones are fewer
}

// needed is how many instances were, at some time.
type needed struct {
	at time.Time
	n  int
}

func newScaler(s target.Scale, concurrent int) *scaler {
	u := s.Utilisation
	if u <= 0 {
		u = defaultUtilisation
	}
	d := s.Delay
	if d <= 0 {
		d = defaultDelay
	}
	return &scaler{min: s.Min, max: max(s.Max, s.Min, 1), per: u * float64(max(concurrent, 1)), delay: d}
}

// want returns how many instances there are to be now, when there are have, as many
// requests as load on average since the last time, and some of them waiting.
func (s *scaler) want(now time.Time, load float64, waiting, have int) int {
	if s.at.IsZero() {
		s.load = load
		s.needs = []needed{{now, have}}
	} else {
		s.load += (load - s.load) * (1 - math.Exp(-now.Sub(s.at).Seconds()/believe.Seconds()))
	}
	s.at = now
	need := s.instances(s.load)
	if waiting > 0 {
		// What waits needs no proof that it will stay.
		need = max(need, s.instances(load), min(have, s.max), 1)
	}
	// Fewer are enough when they have sufficed for the whole delay. Of what was needed
	// only that counts which nothing later exceeds.
	for len(s.needs) > 0 && s.needs[len(s.needs)-1].n <= need {
		s.needs = s.needs[:len(s.needs)-1]
	}
	s.needs = append(s.needs, needed{now, need})
	for now.Sub(s.needs[0].at) > s.delay {
		s.needs = s.needs[1:]
	}
	return min(s.needs[0].n, s.max)
}

// instances is how many a load needs.
func (s *scaler) instances(load float64) int {
	n := math.Ceil(load/s.per - slack) // and an exponential never reaches 0
	return min(max(int(min(n, float64(s.max))), s.min), s.max)
}
