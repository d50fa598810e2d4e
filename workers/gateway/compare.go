package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

// sameAnswer reports whether two answers agree: as JSON when both are, where numbers may
// differ by tolerance, relative to the larger; else byte by byte.
func sameAnswer(a, b []byte, tolerance float64) bool {
	if bytes.Equal(a, b) {
		return true
	}
	va, errA := decodeWhole(a)
	vb, errB := decodeWhole(b)
	return errA == nil && errB == nil && sameValue(va, vb, tolerance)
}

func decodeWhole(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // as its documentation has it
		return nil, strconv.ErrSyntax
	}
	return v, nil
}

// sameJSON reports whether a and b are the same JSON value: the order of keys
// does not count, nor how a number is written.
func sameJSON(a, b []byte) bool {
	va, errA := decode(a)
	vb, errB := decode(b)
	return errA == nil && errB == nil && sameValue(va, vb, 0)
}

func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return v, d.Decode(&v)
}

func sameValue(a, b any, tolerance float64) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !sameValue(v, w, tolerance) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameValue(a[i], b[i], tolerance) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (sameNumber(string(a), string(b)) || tolerance > 0 && near(string(a), string(b), tolerance))
	}
	return a == b
}

// sameNumber compares whole numbers exactly and others as doubles, as JSON
// programs read them.
func sameNumber(a, b string) bool {
	if strings.ContainsAny(a+b, ".eE") {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		return errX == nil && errY == nil && x == y
	}
	return a == b || a == "-"+b && b == "0" || b == "-"+a && a == "0"
}

func near(a, b string, tolerance float64) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
}
