package tune

import "math/bits"

// MaxParams is how many parameters a space may have: as many dimensions of the Sobol
// sequence have their direction numbers here.
const MaxParams = 64

const sobolBits = 32

// sobolPoint is point n of the Sobol sequence, in the order of Gray codes (I. A. Antonov
// and V. M. Saleev, 1979). The seed flips the same bits in all points of a dimension,
// which keeps their balance: of the first 2^k points, each half, quarter, … of every
// axis has the same number.
func sobolPoint(seed int, n uint64, dimensions int) []float64 {
	shift := newSource(seed, 0)
	point := make([]float64, dimensions)
	for d := range point {
		x := sobolNumber(uint32(n), d) ^ uint32(shift.pcg.Uint64()>>32)
		point[d] = (float64(x) + 0.5) / (1 << sobolBits)
	}
	return point
}

// sobolNumber is a coordinate of point n, in units of 2^-32.
func sobolNumber(n uint32, dimension int) uint32 {
	v := sobolDirections(dimension)
	x := uint32(0)
	for gray := n ^ n>>1; gray != 0; gray &= gray - 1 {
		x ^= v[bits.TrailingZeros32(gray)]
	}
	return x
}

// sobolDirections are the direction numbers of a dimension; see section 2 of Joe and Kuo.
func sobolDirections(dimension int) [sobolBits]uint32 {
	var v [sobolBits]uint32
	if dimension == 0 { // van der Corput's sequence
		for k := range v {
			v[k] = 1 << (sobolBits - 1 - k)
		}
		return v
	}
	d := directions[dimension-1]
	degree := bits.Len32(d.polynomial) - 1
	for k := range v {
		if k < degree {
			v[k] = d.m[k] << (sobolBits - 1 - k)
			continue
		}
		v[k] = v[k-degree] ^ v[k-degree]>>degree
		for j := 1; j < degree; j++ {
			if d.polynomial>>(degree-j)&1 == 1 {
				v[k] ^= v[k-j]
			}
		}
	}
	return v
}
