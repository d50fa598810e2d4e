package schema

import (
	"maps"
	"reflect"
	"slices"
)

// MaxCombinations is how many combinations one matrix may have.
const MaxCombinations = 10_000

// Combinations are what the axes make, in the order in which they are written with
// the last axis turning fastest, without those excluded and with those included. It
// is false when there are more than MaxCombinations.
//
// An entry of include that agrees with a combination in every name of an axis adds
// its other values to it; one that agrees with none is a combination of its own.
func Combinations(axes []Axis, include, exclude []map[string]any) ([]map[string]any, bool) {
	list := []map[string]any{{}}
	names := map[string]bool{}
	for _, axis := range axes {
		names[axis.Name] = true
		if len(list)*len(axis.Values) > MaxCombinations {
			return nil, false
		}
		next := make([]map[string]any, 0, len(list)*len(axis.Values))
		for _, m := range list {
			for _, v := range axis.Values {
				one := maps.Clone(m)
				one[axis.Name] = v
				next = append(next, one)
			}
		}
		list = next
	}
	if len(axes) == 0 {
		list = nil
	}
	kept, without := list[:0], entries(exclude)
	for _, m := range list {
		if !without.have(m) {
			kept = append(kept, m)
		}
	}
	list = kept
	made := len(list)
	for _, more := range include {
		joined := false
		for i := range made {
			if agrees(list[i], more, names) {
				maps.Copy(list[i], more)
				joined = true
			}
		}
		if !joined {
			list = append(list, maps.Clone(more))
		}
	}
	return list, len(list) <= MaxCombinations
}

// pair is a name and its value in an entry of exclude.
type pair struct {
	name  string
	value any
}

// without are the entries of exclude as lists, which are faster to go through than maps.
type without [][]pair

func entries(exclude []map[string]any) without {
	all := make(without, 0, len(exclude))
	for _, x := range exclude {
		var one []pair
		for _, name := range keysOf(x) {
			one = append(one, pair{name, x[name]})
		}
		if len(one) > 0 {
			all = append(all, one)
		}
	}
	return all
}

// have reports whether all that one of the entries says is so in m.
func (w without) have(m map[string]any) bool {
	return slices.ContainsFunc(w, func(entry []pair) bool {
		return !slices.ContainsFunc(entry, func(p pair) bool { return !equal(m[p.name], p.value) })
	})
}

// agrees: more names an axis, and all axes that it names have its values.
func agrees(m, more map[string]any, axes map[string]bool) bool {
	named := false
	for name, v := range more {
		if !axes[name] {
			continue
		}
		if named = true; !equal(m[name], v) {
			return false
		}
	}
	return named || len(axes) > 0 && !namesAxis(more, axes)
}

func namesAxis(m map[string]any, axes map[string]bool) bool {
	for name := range m {
		if axes[name] {
			return true
		}
	}
	return false
}

func equal(a, b any) bool {
	if x, isText := a.(string); isText {
		y, alike := b.(string)
		return alike && x == y
	}
	x, isNumber := number(a)
	y, alike := number(b)
	if isNumber && alike {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

// known are the combinations of a matrix without expressions.
func (m *Matrix) known() ([]map[string]any, bool) {
	for _, axis := range m.Axes {
		if axis.Text != "" || len(axis.Values) == 0 {
			return nil, false
		}
	}
	return Combinations(m.Axes, m.Include, m.Exclude)
}
