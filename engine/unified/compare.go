package unified

import "sort"

// The bounds of the search: texts within small are compared exactly; larger ones are
// cut at lines that each has once, at most so many times.
const (
	small = 1 << 20
	cuts  = 12
)

// compare finds the lines that stayed, in order. It takes about n log n time, and
// small at most for each part that it looks at closely.
func compare(a, b []string) []pair {
	c := comparison{a: a, b: b}
	c.within(0, len(a), 0, len(b), cuts)
	return c.same
}

type comparison struct {
	a, b []string
	same []pair
}

// within adds the lines that are in both stretches.
func (c *comparison) within(a, aEnd, b, bEnd, cuts int) {
	for a < aEnd && b < bEnd && c.a[a] == c.b[b] {
		c.same = append(c.same, pair{a, b})
		a, b = a+1, b+1
	}
	tail := 0
	for a < aEnd && b < bEnd && c.a[aEnd-1] == c.b[bEnd-1] {
		aEnd, bEnd, tail = aEnd-1, bEnd-1, tail+1
	}
	switch n, m := aEnd-a, bEnd-b; {
	case n == 0 || m == 0:
	case n*m <= small:
		c.exactly(a, aEnd, b, bEnd)
	case cuts > 0:
		for _, p := range c.anchors(a, aEnd, b, bEnd) {
			c.within(a, p.a, b, p.b, cuts-1)
			c.same = append(c.same, p)
			a, b = p.a+1, p.b+1
		}
		if a > aEnd-n || b > bEnd-m { // something was found: look at what is left
			c.within(a, aEnd, b, bEnd, cuts-1)
		}
	}
	for i := range tail {
		c.same = append(c.same, pair{aEnd + i, bEnd + i})
	}
}

// exactly finds the longest list of lines that are in both, by the usual table.
func (c *comparison) exactly(a, aEnd, b, bEnd int) {
	n, m := aEnd-a, bEnd-b
	longest := make([]int32, (n+1)*(m+1)) // of the lines from i and j on
	at := func(i, j int) *int32 { return &longest[i*(m+1)+j] }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if c.a[a+i] == c.b[b+j] {
				*at(i, j) = *at(i+1, j+1) + 1
			} else {
				*at(i, j) = max(*at(i+1, j), *at(i, j+1))
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case c.a[a+i] == c.b[b+j]:
			c.same = append(c.same, pair{a + i, b + j})
			i, j = i+1, j+1
		case *at(i+1, j) >= *at(i, j+1):
			i++
		default:
			j++
		}
	}
}

// anchors are lines that both stretches have exactly once, as many as keep their
// order: the longest rising list of their places, found by patience.
func (c *comparison) anchors(a, aEnd, b, bEnd int) []pair {
	var all []pair
	places := once(c.b, b, bEnd)
	for line, i := range once(c.a, a, aEnd) {
		if j, ok := places[line]; ok && i >= 0 && j >= 0 {
			all = append(all, pair{i, j})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].a < all[j].a })
	piles, before := []int(nil), make([]int, len(all)) // the top of each pile, and what lies left of each
	for i, p := range all {
		k := sort.Search(len(piles), func(k int) bool { return all[piles[k]].b > p.b })
		before[i] = -1
		if k > 0 {
			before[i] = piles[k-1]
		}
		if k == len(piles) {
			piles = append(piles, 0)
		}
		piles[k] = i
	}
	if len(piles) == 0 {
		return nil
	}
	out := make([]pair, len(piles))
	for k, i := len(piles)-1, piles[len(piles)-1]; k >= 0; k, i = k-1, before[i] {
		out[k] = all[i]
	}
	return out
}

// once gives the place of every line that is there once, and -1 for others.
func once(lines []string, from, end int) map[string]int {
	places := make(map[string]int, end-from)
	for i := from; i < end; i++ {
		if _, twice := places[lines[i]]; twice {
			places[lines[i]] = -1
			continue
		}
		places[lines[i]] = i
	}
	return places
}
