package schema

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	namePattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	durationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$`)
	daysPattern     = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)d`)
	bytesPattern    = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|K|M|G|T)?$`)
)

// ValidName reports whether name may name a stage, target, output or endpoint:
// what may become part of a path anywhere.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// ParseDuration reads a length of time as files have it: "90s", "1h30m", "1d",
// where a day has 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	if !durationPattern.MatchString(text) {
		return 0, fmt.Errorf("%q is not a length of time such as 30s, 10m, 2h, 1h30m or 1d", text)
	}
	hours := daysPattern.ReplaceAllStringFunc(text, func(days string) string {
		n, err := strconv.ParseFloat(strings.TrimSuffix(days, "d"), 64)
		if err != nil {
			return days
		}
		return strconv.FormatFloat(n*24, 'f', -1, 64) + "h"
	})
	d, err := time.ParseDuration(hours)
	if err != nil {
		return 0, fmt.Errorf("%q is longer than any run", text)
	}
	return d, nil
}

// ParseBytes reads a size: bytes, or with Ki Mi Gi Ti (powers of 1024) or K M G T
// (powers of 1000) behind the number.
func ParseBytes(text string) (int64, error) {
	m := bytesPattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is not a size such as 512Mi or 4Gi", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	unit := map[string]float64{"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[m[2]]
	if n *= unit; err != nil || n >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is more memory than there is", text)
	}
	if n < 1 {
		return 0, fmt.Errorf("%q is less than one byte", text)
	}
	return int64(n), nil
}

// Accept brings a value to the form of p's type (string, int, float64, bool, []any)
// and checks it against p's bounds. The problem says in words why it does not fit;
// it is empty when it does.
func (p Param) Accept(v any) (value any, problem string) {
	v, ok := p.Type.of(v)
	if !ok {
		return v, fmt.Sprintf("%s is not %s", shown(v), p.Type.words())
	}
	if problem := p.bounds(v); problem != "" {
		return v, problem
	}
	if text, ok := v.(string); ok && p.Pattern != "" {
		if pattern, err := compilePattern(p.Pattern); err == nil {
			if problem := pattern.problem(text, p.Pattern); problem != "" {
				return v, problem
			}
		}
	}
	if len(p.Enum) > 0 && !p.among(v) {
		return v, fmt.Sprintf("%s is not one of %s", shown(v), choices(p.Enum))
	}
	return v, ""
}

// choices lists the values of an enum.
func choices(enum []any) string {
	words := make([]string, min(len(enum), 61)) // more are not shown
	for i, v := range enum[:len(words)] {
		words[i] = shown(v)
	}
	return shorten(strings.Join(words, ", "))
}

// shown is a value in a sentence: text is told from the rest by its quotes.
func shown(v any) string {
	if isText(v) {
		return fmt.Sprintf("%q", compact(v))
	}
	return compact(v)
}

func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// of brings v to the form of type t.
func (t Type) of(v any) (any, bool) {
	n, isNumber := number(v)
	switch t {
	case String:
		_, ok := v.(string)
		return v, ok
	case Integer:
		if !isNumber || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return v, false
		}
		return int(n), true
	case Number:
		if !isNumber || math.IsNaN(n) || math.IsInf(n, 0) {
			return v, false
		}
		return n, true
	case Boolean:
		_, ok := v.(bool)
		return v, ok
	case List:
		_, ok := v.([]any)
		return v, ok
	}
	return v, true
}

func (t Type) words() string {
	words := map[Type]string{String: "text", Integer: "a whole number", Number: "a number", Boolean: "true or false", List: "a list", File: "a file", Folder: "a folder", Model: "a model"}[t]
	if words == "" {
		return string(t)
	}
	return words
}

// bounds compares numbers, the length of text and the items of a list.
func (p Param) bounds(v any) string {
	n, what := 0.0, "%s"
	switch x := v.(type) {
	case string:
		n, what = float64(utf8.RuneCountInString(x)), "a text of %s characters"
	case []any:
		n, what = float64(len(x)), "a list of %s items"
	case bool:
		return ""
	default:
		n, _ = number(v)
	}
	shown := fmt.Sprintf(what, plainNumber(n))
	switch {
	case p.Minimum != nil && n < *p.Minimum:
		return fmt.Sprintf("%s is less than the minimum, %s", shown, plainNumber(*p.Minimum))
	case p.Maximum != nil && n > *p.Maximum:
		return fmt.Sprintf("%s is more than the maximum, %s", shown, plainNumber(*p.Maximum))
	}
	return ""
}

func plainNumber(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }
