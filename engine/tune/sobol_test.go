package tune

import (
	"math"
	"testing"
)

// The points are those of scipy.stats.qmc.Sobol(64, scramble=False), which reads the
// numbers of Joe and Kuo, too.
func TestSobolPointsAreThosePublished(t *testing.T) {
	at := func(n uint32, d int) float64 { return float64(sobolNumber(n, d)) / (1 << 32) }
	dims := []int{0, 1, 2, 9, 31, 63}
	for n, want := range map[uint32][]float64{
		0: {0, 0, 0, 0, 0, 0}, 1: {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, 2: {0.75, 0.25, 0.25, 0.75, 0.25, 0.75}, 3: {0.25, 0.75, 0.75, 0.25, 0.75, 0.25},
		7: {0.125, 0.625, 0.375, 0.875, 0.875, 0.375}, 100: {0.4140625, 0.2578125, 0.7734375, 0.6953125, 0.4140625, 0.6484375},
		1000: {0.2197265625, 0.0966796875, 0.5185546875, 0.0693359375, 0.1455078125, 0.4462890625},
	} {
		for i, d := range dims {
			if got := at(n, d); got != want[i] {
				t.Errorf("point %d, dimension %d: %v, want %v", n, d, got, want[i])
			}
		}
	}
	// A sum in which each coordinate of all dimensions has its own weight.
	for n, want := range map[uint32]float64{5: 1083, 77: 992.390625, 1023: 1174.546875} {
		sum := 0.0
		for d := range MaxParams {
			sum += at(n, d) * float64(d+1)
		}
		if math.Abs(sum-want) > 1e-9 {
			t.Errorf("point %d: the weighted sum is %v, want %v", n, sum, want)
		}
	}
}

// Of the first 2^k points each 2^-k of every axis has one, whatever the seed is; and of
// the first 256 each square of the first two axes' 16 by 16.
func TestSobolPointsAreBalanced(t *testing.T) {
	for _, seed := range []int{0, 1, 12345} {
		for k := range 9 {
			n := 1 << k
			for d := range MaxParams {
				seen := make([]int, n)
				for i := range n {
					seen[int(sobolPoint(seed, uint64(i), MaxParams)[d]*float64(n))]++
				}
				for cell, count := range seen {
					if count != 1 {
						t.Fatalf("seed %d: %d of the first %d points lie in part %d of axis %d", seed, count, n, cell, d)
					}
				}
				if k > 5 && d > 8 {
					break // it takes its time
				}
			}
		}
		squares := map[[2]int]int{}
		for i := range 256 {
			p := sobolPoint(seed, uint64(i), 2)
			squares[[2]int{int(p[0] * 16), int(p[1] * 16)}]++
		}
		if len(squares) != 256 {
			t.Errorf("seed %d: 256 points lie in %d squares of 256", seed, len(squares))
		}
	}
}

// Where a value lies is the inverse of the value that lies there.
func TestPositionsAreTheInverseOfQuantiles(t *testing.T) {
	for _, p := range []Param{
		{Kind: Uniform, A: -1, B: 3}, {Kind: LogUniform, A: 1e-4, B: 1}, {Kind: Normal, A: 5, B: 2}, {Kind: LogNormal, A: 1, B: 0.5}, {Kind: QUniform, A: 0.1, B: 0.9, Q: 0.1},
		{Kind: QLogUniform, A: 16, B: 1024, Q: 16}, {Kind: QNormal, A: 100, B: 20, Q: 5}, {Kind: QLogNormal, A: 3, B: 1, Q: 2}, {Kind: Int, A: -2, B: 2}, {Kind: LogInt, A: 1, B: 64},
		{Kind: Choice, Choices: []any{"a", 2, true}},
	} {
		for i := range 1000 {
			u := (float64(i) + 0.5) / 1000
			v := p.quantile(u)
			if again := p.quantile(p.position(v)); !same(v, again) && math.Abs(float(v)-float(again)) > 1e-9*math.Abs(float(v)) {
				t.Errorf("%s: %v is at %v, where %v is", p.Kind, v, p.position(v), again)
				break
			}
		}
	}
}
