package expr

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// number is a value of Int or Number. Whole numbers stay whole, so that they stay exact; 3.0 is the whole number 3,
// because JSON does not keep the difference.
type number struct {
	whole bool
	i     int64
	f     float64
}

// kindOf is the kind of a value. The second result is false for what cannot come from JSON.
func kindOf(v any) (Kind, bool) {
	switch v.(type) {
	case nil:
		return Nothing, true
	case bool:
		return Bool, true
	case string:
		return Text, true
	case []any:
		return List, true
	case map[string]any:
		return Object, true
	}
	n, err := numberOf(v)
	switch {
	case err != nil:
		return Any, false
	case n.whole:
		return Int, true
	}
	return Number, true
}

// KindOf is the kind of a value whose shape is that of decoded JSON, and Any for
// anything else.
func KindOf(v any) Kind {
	k, ok := kindOf(v)
	if !ok {
		return Any
	}
	return k
}

// numberOf reads any of Go's numbers that a decoder or a caller may give.
func numberOf(v any) (number, error) {
	switch x := v.(type) {
	case int:
		return wholeNumber(int64(x))
	case int64:
		return wholeNumber(x)
	case int32:
		return wholeNumber(int64(x))
	case float32:
		return floatNumber(float64(x))
	case float64:
		return floatNumber(x)
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return wholeNumber(i)
		}
		f, err := x.Float64()
		if err != nil {
			return number{}, fmt.Errorf("the number %s is too large", x)
		}
		return floatNumber(f)
	}
	return number{}, fmt.Errorf("a value of Go type %T is not a number", v)
}

func wholeNumber(i int64) (number, error) {
	if i > MaxExact || i < -MaxExact {
		return number{}, fmt.Errorf("the whole number %d is beyond 2^53 and cannot be kept exactly", i)
	}
	return number{whole: true, i: i, f: float64(i)}, nil
}

func floatNumber(f float64) (number, error) {
	switch {
	case math.IsNaN(f):
		return number{}, fmt.Errorf("it is NaN, which is not a number")
	case math.IsInf(f, 0):
		return number{}, fmt.Errorf("it is infinite, or too large for a number")
	case f == math.Trunc(f) && math.Abs(f) <= MaxExact:
		return number{whole: true, i: int64(f), f: float64(int64(f))}, nil // never -0
	}
	return number{f: f}, nil
}

// value is the number as it leaves the package: int or float64.
func (n number) value() any {
	if n.whole {
		return int(n.i)
	}
	return n.f
}

func (n number) text() string {
	if n.whole {
		return strconv.FormatInt(n.i, 10)
	}
	format := byte('f')
	if size := math.Abs(n.f); size < 1e-6 || size >= 1e21 {
		format = 'g'
	}
	return strconv.FormatFloat(n.f, format, -1, 64)
}

// less orders numbers; whole ones by their exact value.
func (n number) less(o number) bool {
	if n.whole && o.whole {
		return n.i < o.i
	}
	return n.f < o.f
}

func (n number) equal(o number) bool {
	return n.whole == o.whole && n.i == o.i && n.f == o.f
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Accept looks at a value where t is wanted, once it exists: it gives the value, as an int when t is Int. An artifact
// has the form that the engine gives it, and is let through.
func (t Type) Accept(v any) (any, error) {
	if t.Kind == Any || t.isArtifact() {
		return v, nil
	}
	k, ok := kindOf(v)
	if !ok {
		return nil, &Error{Code: CodeType, Message: fmt.Sprintf("a value of Go type %T cannot be used", v)}
	}
	if !setOf(t.Kind).has(k) {
		return nil, &Error{Code: CodeType, Message: fmt.Sprintf("this is %s, and %s is wanted here", k, t.Kind), Hint: resultHint(Type{Kind: k}, t)}
	}
	if t.Kind == List && t.Elem != nil {
		return v, t.acceptItems(v.([]any))
	}
	if t.Kind == Int {
		n, _ := numberOf(v)
		return n.value(), nil
	}
	return v, nil
}

func (t Type) acceptItems(items []any) error {
	for i, item := range items {
		if _, err := t.Elem.Accept(item); err != nil {
			return &Error{Code: CodeType, Message: fmt.Sprintf("item %d of the list: %s", i, err)}
		}
	}
	return nil
}
