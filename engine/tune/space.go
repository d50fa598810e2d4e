package tune

import (
	"encoding/json"
	"math"
	"strconv"
)

// The kinds of distribution.
const (
	Choice      = "choice"
	Uniform     = "uniform"
	LogUniform  = "log_uniform"
	Normal      = "normal"
	LogNormal   = "log_normal"
	QUniform    = "q_uniform"
	QLogUniform = "q_log_uniform"
	QNormal     = "q_normal"
	QLogNormal  = "q_log_normal"
	Int         = "int"
	LogInt      = "log_int"
)

// Param is one thing that differs between trials, and how.
type Param struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Choices []any  `json:"choices,omitempty"` // of Choice; none twice
	// A and B are the bounds, both included; of the normal kinds the mean and the
	// standard deviation, with "log" those of the logarithm.
	A float64 `json:"a,omitempty"`
	B float64 `json:"b,omitempty"`
	Q float64 `json:"q,omitempty"` // values are multiples of it
}

// Space is all that differs between trials.
type Space []Param

// discrete reports whether p has so many values and no more; n is how many, at most most.
func (p Param) discrete() (n int, ok bool) {
	const most = math.MaxInt32
	switch p.Kind {
	case Choice:
		return len(p.Choices), true
	case Int, LogInt:
		return int(min(p.B-p.A+1, most)), true
	case QUniform, QLogUniform:
		first, last := p.multiples()
		return int(min(last-first+1, most)), true
	}
	return 0, false
}

// multiples are the first and the last multiple of Q within the bounds, as factors.
func (p Param) multiples() (first, last float64) {
	const slack = 1e-9 // 0.3/0.1 is less than 3
	return math.Ceil(p.A/p.Q - slack), math.Floor(p.B/p.Q + slack)
}

// member is the value number i of a discrete parameter.
func (p Param) member(i int) any {
	switch p.Kind {
	case Choice:
		return p.Choices[i]
	case Int, LogInt:
		return p.A + float64(i)
	}
	first, _ := p.multiples()
	return tidy((first + float64(i)) * p.Q)
}

// tidy takes away what multiplying has added: 3 × 0.1 is 0.3.
func tidy(v float64) float64 {
	t, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	if err != nil {
		return v
	}
	return t
}

// at are the settings of a point of the unit cube.
func (s Space) at(point []float64) Settings {
	all := make(Settings, len(s))
	for i, p := range s {
		all[p.Name] = p.quantile(point[i])
	}
	return all
}

// quantile is the value below which p lies with probability u. Every distribution is the
// image of the uniform one from 0 to 1.
func (p Param) quantile(u float64) any {
	switch p.Kind {
	case Choice:
		return p.Choices[min(int(u*float64(len(p.Choices))), len(p.Choices)-1)]
	case Int:
		return clamp(math.Floor(p.A+u*(p.B-p.A+1)), p.A, p.B)
	case LogInt: // each whole number has the share of the logarithms around it
		return clamp(math.Round(between(math.Log(p.A-0.5), math.Log(p.B+0.5), u)), p.A, p.B)
	case Uniform:
		return clamp(p.A+u*(p.B-p.A), p.A, p.B)
	case LogUniform:
		return clamp(between(math.Log(p.A), math.Log(p.B), u), p.A, p.B)
	case Normal:
		return p.A + p.B*deviate(u)
	case LogNormal:
		return math.Exp(p.A + p.B*deviate(u))
	case QNormal:
		return p.rounded(p.A + p.B*deviate(u))
	case QLogNormal:
		return p.rounded(math.Exp(p.A + p.B*deviate(u)))
	case QLogUniform:
		return p.within(between(math.Log(p.A), math.Log(p.B), u))
	}
	return p.within(p.A + u*(p.B-p.A))
}

// between is the number whose logarithm lies between two.
func between(low, high, u float64) float64 { return math.Exp(low + u*(high-low)) }

func clamp(v, low, high float64) float64 { return min(max(v, low), high) }

func (p Param) rounded(v float64) float64 { return tidy(math.Round(v/p.Q) * p.Q) }

// within is the multiple of Q next to v that lies within the bounds.
func (p Param) within(v float64) float64 {
	first, last := p.multiples()
	return tidy(clamp(math.Round(v/p.Q), first, last) * p.Q)
}

// deviate is the quantile of the normal distribution.
func deviate(u float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*u) }

// probability is that of the normal distribution below x.
func probability(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// position is where a value lies between 0 and 1: the middle of all that give it.
func (p Param) position(v any) float64 {
	if p.Kind == Choice {
		return (float64(p.index(v)) + 0.5) / float64(len(p.Choices))
	}
	x := float(v)
	from, to := x, x
	if p.Q > 0 {
		from, to = x-p.Q/2, x+p.Q/2
	}
	return (p.below(from) + p.below(to)) / 2
}

// below is the probability of less than x.
func (p Param) below(x float64) float64 {
	u := 0.0
	switch p.Kind {
	case Int: // the middle of the whole number
		u = (x + 0.5 - p.A) / (p.B - p.A + 1)
	case LogInt:
		u = share(math.Log(x), math.Log(p.A-0.5), math.Log(p.B+0.5))
	case LogUniform, QLogUniform:
		u = share(logarithm(x), math.Log(p.A), math.Log(p.B))
	case Normal, QNormal:
		u = probability((x - p.A) / p.B)
	case LogNormal, QLogNormal:
		u = probability((logarithm(x) - p.A) / p.B)
	default:
		u = share(x, p.A, p.B)
	}
	return clamp(u, 0, 1)
}

// logarithm is that of x, also of what has none.
func logarithm(x float64) float64 { return math.Log(max(x, math.SmallestNonzeroFloat64)) }

func share(x, low, high float64) float64 {
	if high <= low {
		return 0.5
	}
	return (x - low) / (high - low)
}

// index is which of the choices v is. What is none of them counts as the first: the
// space was another one then.
func (p Param) index(v any) int {
	for i, c := range p.Choices {
		if same(c, v) {
			return i
		}
	}
	return 0
}

// same reports whether two values are written the same.
func same(a, b any) bool {
	switch x := a.(type) {
	case string, bool, nil:
		switch b.(type) {
		case string, bool, nil:
			return a == b
		}
		return false
	case float64, int:
		switch b.(type) {
		case float64, int:
			return float(x) == float(b)
		}
		return false
	}
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

func float(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	}
	return 0
}
