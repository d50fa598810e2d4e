package workers

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLastMetrics(t *testing.T) {
	for text, want := range map[string]map[string]float64{
		"":                                 {},
		`{"loss": 1, "step": 7}`:           {"loss": 1},
		"{\"a\": 1}\n{\"a\": 2, \"b\": 3}": {"a": 2, "b": 3},
		"{\"a\": 1}\n{\"a\": ":             {"a": 1}, // a line that is still being written
		// steps in another order, twice the same, none at the end, and none that is a number
		"{\"a\": 3, \"step\": 3}\n{\"a\": 2, \"b\": 2, \"step\": 2}":   {"a": 3, "b": 2},
		"{\"a\": 3, \"step\": 3}\n{\"a\": 4, \"step\": 3}":             {"a": 4},
		"{\"a\": 3, \"step\": 3}\n{\"a\": 9}\n{\"a\": 1, \"step\": 1}": {"a": 9},
		"{\"a\": 3, \"step\": 3}\n{\"a\": NaN, \"b\": 1, \"step\": 4}": {"a": 3, "b": 1},
		"{\"a\": 1, \"step\": NaN}\n{\"a\": 2, \"step\": null}":        {"a": 2},
		"\x00\xff\n[1]\n{\"a\": \"x\"}\n{\"b\": -0.5}\r\n":             {"b": -0.5},
	} {
		if got := lastMetrics([]byte(text)); !maps.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestReadValues(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		" \n":                            "",
		`{"n": 3}`:                       "",
		"[1]":                            "is not a JSON object",
		"{\"n\": 3":                      "is not a JSON object",
		strings.Repeat("x", maxValues+1): "at most 65536 are kept",
	} {
		_, err := readValues([]byte(text))
		if fmt.Sprint(err) == "<nil>" != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestIsType(t *testing.T) {
	for typ, fits := range map[string]string{
		"string": `"x"`, "boolean": `true`, "number": `1.5`, "integer": `3`, "list": `[1]`,
	} {
		for other, text := range map[string]string{"string": `"x"`, "boolean": `true`, "number": `1.5`, "integer": `3`, "list": `[1]`, "object": `{}`, "nothing": `null`} {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			if want := text == fits || typ == "number" && other == "integer"; isType(v, typ) != want {
				t.Errorf("%s is of type %s: %v", text, typ, !want)
			}
		}
	}
}

// What people are shown of a log is bounded, whatever the log holds.
func FuzzLastLines(f *testing.F) {
	for _, s := range []string{"", "one", "one\n", "one\ntwo\n\n", strings.Repeat("x", 3*tailBytes), strings.Repeat("a\n", 100), "\xff\x00\r\n\xe2\x82"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := lastLines(strings.NewReader(s))
		all := strings.Join(got, "\n")
		if len(got) > tailLines || len(all) > 3*tailBytes || !utf8.ValidString(all) {
			t.Errorf("%d lines, %d bytes", len(got), len(all))
		}
		if utf8.ValidString(s) && len(s) < tailBytes && strings.Count(s, "\n") < tailLines && all != strings.TrimRight(s, "\n") {
			t.Errorf("%q became %q", s, all)
		}
	})
}
