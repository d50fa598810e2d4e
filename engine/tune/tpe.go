package tune

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// The tree-structured Parzen estimator of J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl,
// "Algorithms for hyper-parameter optimization", NIPS 2011: what has done well and what
// has not are two densities, l and g, and the next trial is where l/g is greatest among
// points drawn from l. All parameters are estimated together, with a product kernel for
// each trial, as in S. Falkner, A. Klein and F. Hutter, "BOHB", ICML 2018.
const (
	defaultStartup    = 10
	defaultCandidates = 24
	wellShare         = 0.15 // of the trials have done well
	wellMost          = 25
	widthAtOne        = 0.1 // of a kernel, when there is one trial: of the whole range
	leastWidth        = 0.01
)

// tpe are the settings of the next trial.
func (a Algorithm) tpe(s Space, g Goal, told []Told) Settings {
	n := uint64(len(told))
	well, ill, enough := split(g, told, cmp.Or(a.Startup, defaultStartup))
	if !enough {
		return a.spread(s, told)
	}
	good, bad := newDensity(s, well), newDensity(s, ill)
	random := newSource(a.Seed, n)
	var best, fresh Settings
	bestScore, freshScore := math.Inf(-1), math.Inf(-1)
	for range cmp.Or(a.Candidates, defaultCandidates) {
		c := s.at(good.draw(random))
		at := s.position(c)
		score := good.log(at) - bad.log(at)
		if best == nil || score > bestScore {
			best, bestScore = c, score
		}
		if (fresh == nil || score > freshScore) && !tried(told, c) {
			fresh, freshScore = c, score
		}
	}
	if fresh != nil { // the same once more would tell nothing new
		return fresh
	}
	for range 100 {
		if c := s.at(random.point(len(s))); !tried(told, c) {
			return c
		}
	}
	return best
}

// spread are settings that nobody has tried, far from those that were: of few values points
// of a Sobol sequence give some twice before others come once.
func (a Algorithm) spread(s Space, told []Told) Settings {
	n := uint64(len(told))
	for i := range uint64(100) {
		if c := s.at(sobolPoint(a.Seed, n+i, len(s))); !tried(told, c) {
			return c
		}
	}
	return s.at(sobolPoint(a.Seed, n, len(s)))
}

func tried(told []Told, c Settings) bool {
	return slices.ContainsFunc(told, func(t Told) bool {
		return !slices.ContainsFunc(slices.Sorted(maps.Keys(c)), func(name string) bool { return !same(t.Settings[name], c[name]) })
	})
}

// split tells trials that have done well from all others. What has come further counts
// for more than what was stopped before; what is under way, and what failed, has not done
// well, so that no other is made like it meanwhile. enough is false when fewer than
// startup have a value.
func split(g Goal, told []Told, startup int) (well, ill []Settings, enough bool) {
	var valued []Told
	for _, t := range told {
		if t.Outcome == Complete || t.Outcome == Stopped {
			valued = append(valued, t)
			continue
		}
		ill = append(ill, t.Settings)
	}
	if len(valued) < max(startup, 2) {
		return nil, nil, false
	}
	slices.SortStableFunc(valued, func(a, b Told) int {
		if a.Outcome != b.Outcome {
			if a.Outcome == Complete {
				return -1
			}
			return 1
		}
		further := 0
		if a.Outcome == Stopped {
			further = cmp.Compare(b.Steps, a.Steps)
		}
		return cmp.Or(further, cmp.Compare(g.cost(a.Value), g.cost(b.Value)))
	})
	n := min(int(math.Ceil(wellShare*float64(len(valued)))), wellMost)
	for i, t := range valued {
		if i < n {
			well = append(well, t.Settings)
		} else {
			ill = append(ill, t.Settings)
		}
	}
	return well, ill, true
}

// position is the point of the unit cube that settings stand for.
func (s Space) position(all Settings) []float64 {
	point := make([]float64, len(s))
	for i, p := range s {
		point[i] = p.position(all[p.Name])
	}
	return point
}

// density is a mixture of one kernel for each trial and one that is the same everywhere.
type density struct {
	space   Space
	centres [][]float64
	widths  []float64 // of each parameter that is no choice
	stray   float64   // the weight that a choice gives to each of the others
}

func newDensity(s Space, all []Settings) density {
	d := density{space: s, widths: make([]float64, len(s))}
	for _, one := range all {
		d.centres = append(d.centres, s.position(one))
	}
	n := float64(len(all))
	// Scott's rule, and no kernel so narrow that a few trials seem to know everything. Optuna
	// has twice these widths; functions with known optima want them narrower (docs/tuning.md).
	width := max(widthAtOne*math.Pow(max(n, 1), -1/float64(len(s)+4)), 0.5/(n+2), leastWidth)
	for i := range d.widths {
		d.widths[i] = width
	}
	d.stray = 1 / (n + 1)
	return d
}

// draw is a point drawn from d.
func (d density) draw(r source) []float64 {
	i := r.below(len(d.centres) + 1)
	if i == len(d.centres) {
		return r.point(len(d.space))
	}
	point := make([]float64, len(d.space))
	for j, p := range d.space {
		centre, u := d.centres[i][j], r.unit()
		if p.Kind == Choice {
			point[j] = d.choose(p, centre, u, r.unit())
			continue
		}
		low, high := probability(-centre/d.widths[j]), probability((1-centre)/d.widths[j])
		point[j] = clamp(centre+d.widths[j]*deviate(low+u*(high-low)), 0, math.Nextafter(1, 0))
	}
	return point
}

// choose stays with the choice at centre, or takes any.
func (d density) choose(p Param, centre, u, other float64) float64 {
	n := float64(len(p.Choices))
	if u < 1/(1+n*d.stray) {
		return centre
	}
	return (math.Floor(other*n) + 0.5) / n
}

// log is the logarithm of the density at a point.
func (d density) log(point []float64) float64 {
	terms := make([]float64, 0, len(d.centres)+1)
	terms = append(terms, 0) // the unit cube has the density 1
	for _, centre := range d.centres {
		sum := 0.0
		for j, p := range d.space {
			sum += d.kernel(p, j, centre[j], point[j])
		}
		terms = append(terms, sum)
	}
	most := slices.Max(terms)
	sum := 0.0
	for _, t := range terms {
		sum += math.Exp(t - most)
	}
	return most + math.Log(sum/float64(len(terms)))
}

// kernel is the logarithm of the density that a trial at centre gives to a value.
func (d density) kernel(p Param, j int, centre, at float64) float64 {
	if p.Kind == Choice { // (Aitchison and Aitken, 1976)
		n := float64(len(p.Choices))
		weight := d.stray
		if math.Abs(centre-at) < 0.25/n {
			weight++
		}
		return math.Log(weight * n / (1 + n*d.stray))
	}
	w := d.widths[j]
	z := (at - centre) / w
	whole := probability((1-centre)/w) - probability(-centre/w)
	return -z*z/2 - math.Log(w*math.Sqrt(2*math.Pi)*whole)
}
