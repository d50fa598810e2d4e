package diag

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// longest is the most characters a name may have for Nearest to look at it: the
// cost grows with the square, and nobody mistypes one letter in two hundred.
const longest = 128

// Nearest returns the entry of known that name was most likely meant to be, or ""
// when none is close. Letter case and the choice between "-", "_" and "." count
// for nothing; of equally close names the one of the nearest length wins, then the first in the alphabet.
func Nearest(name string, known []string) string {
	if utf8.RuneCountInString(name) > longest {
		return ""
	}
	a := fold(nil, name)
	var b []rune
	var t table
	best, bestDistance, bestGap := "", -1, 0
	for _, k := range known {
		if k == name || len(k) > 4*longest {
			continue
		}
		b = fold(b[:0], k)
		most := max(1, max(len(a), len(b))/3)
		if bestDistance >= 0 {
			most = min(most, bestDistance)
		}
		d := t.distance(a, b, most)
		if d > most || d >= max(len(a), len(b)) {
			continue
		}
		gap := max(len(a), len(b)) - min(len(a), len(b))
		if bestDistance < 0 || cmp.Or(cmp.Compare(d, bestDistance), cmp.Compare(gap, bestGap), cmp.Compare(k, best)) < 0 {
			best, bestDistance, bestGap = k, d, gap
		}
	}
	return best
}

// begins reports whether one is the beginning of the other, as "int" is of "integer".
func begins(a, b []rune) bool {
	if len(a) == len(b) {
		return slices.Equal(a, b)
	}
	short := min(len(a), len(b))
	return short >= 3 && slices.Equal(a[:short], b[:short])
}

// fold appends s to row without what counts for nothing.
func fold(row []rune, s string) []rune {
	for _, r := range s {
		switch {
		case r == '_' || r == '.':
			r = '-'
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r >= utf8.RuneSelf:
			r = unicode.ToLower(r)
		}
		row = append(row, r)
	}
	return row
}

// table is the space for distance, to be used again.
type table struct{ before, last, row []int }

// distance counts the letters to insert, drop, replace or swap with a neighbour to
// turn a into b (optimal string alignment). The beginning of a name is one away
// from it; lengths that differ by more than half are far away. Above most it stops.
func (t *table) distance(a, b []rune, most int) int {
	if begins(a, b) {
		return 1
	}
	if n := max(len(a), len(b)); n > 2*min(len(a), len(b)) || n-min(len(a), len(b)) > most || len(b) > longest {
		return n
	}
	for len(t.row) <= len(b) {
		t.before, t.last, t.row = append(t.before, 0), append(t.last, 0), append(t.row, 0)
	}
	before, last, row := t.before, t.last, t.row
	for j := range last {
		last[j] = j
	}
	lowest := 0 // of the row before, which a swap of letters may come from
	for i := 1; i <= len(a); i++ {
		row[0] = i
		low := i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			low = min(low, row[j])
		}
		if low > most && lowest > most {
			return low
		}
		lowest = low
		before, last, row = last, row, before
	}
	return last[len(b)]
}
