package tune

import "math/rand/v2"

// source gives random numbers that depend on nothing but a seed and a number.
type source struct{ pcg *rand.PCG }

// newSource is that of one trial of a sweep.
func newSource(seed int, number uint64) source {
	return source{rand.NewPCG(mix(uint64(seed)), mix(number+0x9e3779b97f4a7c15))}
}

// mix spreads numbers that lie close to each other. It is the finalizer of SplitMix64
// (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit is a number from 0 to below 1, never 0 itself: normal values have no end there.
func (s source) unit() float64 { return (float64(s.pcg.Uint64()>>11) + 0.5) / (1 << 53) }

// below is a whole number below n.
func (s source) below(n int) int { return min(int(s.unit()*float64(n)), n-1) }

// point is a point of the unit cube.
func (s source) point(dimensions int) []float64 {
	p := make([]float64, dimensions)
	for i := range p {
		p[i] = s.unit()
	}
	return p
}
