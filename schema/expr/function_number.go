package expr

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var numberFunctions = map[string]function{
	"abs":    {takes: []kinds{setOf(Number)}, required: 1, gives: same, apply: abs},
	"ceil":   rounding(math.Ceil),
	"floor":  rounding(math.Floor),
	"round":  rounding(math.Round),
	"int":    {takes: []kinds{setOf(Number, Text)}, required: 1, gives: always(Type{Kind: Int}), apply: toInt},
	"float":  {takes: []kinds{setOf(Number, Text)}, required: 1, gives: always(Type{Kind: Number}), apply: toNumber},
	"max":    choosing(func(order int) bool { return order > 0 }),
	"min":    choosing(func(order int) bool { return order < 0 }),
	"mean":   {takes: []kinds{setOf(List)}, required: 1, gives: always(Type{Kind: Number}), apply: mean},
	"median": {takes: []kinds{setOf(List)}, required: 1, gives: always(Type{Kind: Number}), apply: median},
}

func same(args []Type) Type { return args[0] }

// exact lets a computed number out of a function when it is finite and exact.
func exact(f float64) (any, error) {
	n, err := floatNumber(f)
	if err != nil {
		return nil, fmt.Errorf("it cannot be computed: %w", err)
	}
	return n.value(), nil
}

func abs(_ *machine, args []any) (any, error) {
	n, err := numberOf(args[0])
	if err != nil {
		return nil, err
	}
	return exact(math.Abs(n.f))
}

func rounding(f func(float64) float64) function {
	return function{takes: []kinds{setOf(Number)}, required: 1, gives: always(Type{Kind: Int}), apply: func(_ *machine, args []any) (any, error) {
		n, err := numberOf(args[0])
		if err != nil {
			return nil, err
		}
		return whole(f(n.f))
	}}
}

// whole gives a float without a fraction as a whole number.
func whole(f float64) (any, error) {
	if math.Abs(f) > MaxExact {
		return nil, errors.New("it is beyond 2^53 and cannot be kept exactly as a whole number")
	}
	return int(f), nil
}

func toInt(_ *machine, args []any) (any, error) {
	if s, ok := args[0].(string); ok {
		i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the text %s is not a whole number", clip(s))
		}
		n, err := wholeNumber(i)
		return n.value(), err
	}
	n, err := numberOf(args[0])
	if err != nil {
		return nil, err
	}
	return whole(math.Trunc(n.f))
}

func toNumber(_ *machine, args []any) (any, error) {
	s, ok := args[0].(string)
	if !ok {
		return args[0], nil
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("the text %s is not a number", clip(s))
	}
	return exact(f)
}

// clip quotes a text for a message.
func clip(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return strconv.Quote(s)
}

// choosing is max or min, of its arguments or of one list.
func choosing(better func(order int) bool) function {
	return function{takes: []kinds{setOf(Number, Text, List)}, required: 1, more: true, gives: chosenType, apply: func(m *machine, args []any) (any, error) {
		if list, ok := args[0].([]any); ok && len(args) == 1 {
			args = list
		}
		if len(args) == 0 {
			return nil, errors.New("the list is empty")
		}
		best := args[0]
		for _, v := range args {
			order, err := m.priced(v, best)
			if err != nil {
				return nil, err
			}
			if better(order) {
				best = v
			}
		}
		return best, nil
	}}
}

func chosenType(args []Type) Type {
	if len(args) == 1 {
		return args[0].elem()
	}
	result := args[0]
	for _, t := range args[1:] {
		result = join(result, t)
	}
	return result
}

// priced compares and pays a step for it.
func (m *machine) priced(a, b any) (int, error) {
	if err := m.spend(1); err != nil {
		return 0, err
	}
	return m.compare(a, b)
}

// numbers reads a list of numbers.
func (m *machine) numbers(v any) ([]number, error) {
	items := v.([]any)
	if err := m.spend(len(items)); err != nil {
		return nil, err
	}
	out := make([]number, len(items))
	for i, item := range items {
		n, err := numberOf(item)
		if err != nil {
			return nil, fmt.Errorf("item %d of the list is not a number that can be used", i)
		}
		out[i] = n
	}
	return out, nil
}

func mean(m *machine, args []any) (any, error) {
	all, err := m.numbers(args[0])
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("the list is empty")
	}
	total := 0.0
	for _, n := range all {
		total += n.f
	}
	return exact(total / float64(len(all)))
}

func median(m *machine, args []any) (any, error) {
	sorted, err := m.sorted(args[0].([]any), false)
	if err != nil {
		return nil, err
	}
	all, err := m.numbers(sorted)
	switch half := len(all) / 2; {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, errors.New("the list is empty")
	case len(all)%2 == 1:
		return exact(all[half].f)
	default:
		return exact((all[half-1].f + all[half].f) / 2)
	}
}
