package diag

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNearest(t *testing.T) {
	for _, c := range []struct{ name, known, want string }{
		{"gpu-clutser", "local gpu-cluster vm", "gpu-cluster"},
		{"acuracy", "accuracy loss", "accuracy"},
		{"trian", "train plain", "train"},
		{"Train", "train", "train"},
		{"min_acc", "min-acc", "min-acc"},
		{"x", "y", ""},
		{"gpu", "local vm web", ""},
		{"ab", "ba", "ba"},
		{"train", "train", ""}, // it is known: there is nothing to mean instead
		{"bat", "cat hat", "cat"},
		{strings.Repeat("a", 200), strings.Repeat("a", 199), ""},
		{"", "a", ""},
		{"int", "integer list", "integer"},
		{"nope.json", "broken.json sample.json", ""},
		{"größe", "grösse", "grösse"},
	} {
		if got := Nearest(c.name, strings.Fields(c.known)); got != c.want {
			t.Errorf("Nearest(%q, %q) = %q, want %q", c.name, c.known, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	lines := map[int]string{14: "    target: gpu-clutser", 2: "\ta\x1b[31mb", 3: strings.Repeat("x", 300) + "BAD" + strings.Repeat("y", 300)}
	fs := Findings{
		{Pos: Pos{"digits.pipeline.yaml", 14, 13}, Width: 11, Severity: Error, Code: "unknown-target", Message: `no target named "gpu-clutser" in workspace "vision-team"`, Hint: `did you mean "gpu-cluster"?`},
		{Pos: Pos{"f", 2, 2}, Severity: Warning, Code: "c", Message: "m"},
		{Pos: Pos{"f", 3, 301}, Width: 3, Severity: Error, Code: "c", Message: "m", Hint: "h"},
		{Pos: Pos{"f", 9, 1}, Severity: Error, Code: "c", Message: "m", Hint: "h"},
	}
	var b bytes.Buffer
	if err := Text(&b, fs, func(_ string, n int) string { return lines[n] }, false); err != nil {
		t.Fatal(err)
	}
	want := `digits.pipeline.yaml:14:13: error: no target named "gpu-clutser" in workspace "vision-team" [unknown-target]
   14 |     target: gpu-clutser
      |             ^~~~~~~~~~~ did you mean "gpu-cluster"?
f:2:2: warning: m [c]
    2 | ` + "\ta·[31mb" + `
      | ` + "\t^" + `
f:3:301: error: m [c]
    3 | …` + strings.Repeat("x", 60) + "BAD" + strings.Repeat("y", 57) + `…
      |  ` + strings.Repeat(" ", 60) + `^~~ h
f:9:1: error: m [c]
      | h
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, nil); err != nil || b.String() != "{\"findings\":[]}\n" {
		t.Errorf("no findings print %q, %v", b.String(), err)
	}
	b.Reset()
	if err := JSON(&b, Findings{{Pos: Pos{"f", 1, 2}, Code: "c", Message: "a < b", Hint: "h"}}); err != nil {
		t.Fatal(err)
	}
	var got struct{ Findings []map[string]any }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"file": "f", "line": 1.0, "column": 2.0, "code": "c", "message": "a < b", "hint": "h"} {
		if got.Findings[0][key] != want {
			t.Errorf("%s = %v, want %v", key, got.Findings[0][key], want)
		}
	}
}

func TestSort(t *testing.T) {
	at := func(line, col int, code Code) Finding { return Finding{Pos: Pos{"f", line, col}, Code: code} }
	twice := at(2, 1, "b")
	twice.Path = "/elsewhere"
	got := Findings{at(2, 1, "b"), at(1, 9, "z"), twice, at(2, 1, "a")}.Sort()
	if d := cmp.Diff(Findings{at(1, 9, "z"), at(2, 1, "a"), at(2, 1, "b")}, got); d != "" {
		t.Error(d)
	}
}

// Findings of one long line need not stand in order, and each shows its own part of it.
func TestTextOfOneLongLine(t *testing.T) {
	line := strings.Repeat("é", 500) + "A" + strings.Repeat("é", 500) + "B" + strings.Repeat("é", 500)
	fs := Findings{{Pos: Pos{"f", 1, 501}}, {Pos: Pos{"f", 1, 1002}}, {Pos: Pos{"f", 1, 501}}, {Pos: Pos{"f", 1, 1}}, {Pos: Pos{"f", 1, 9999}}, {Pos: Pos{"f", 1, 1002}}}
	var b bytes.Buffer
	if err := Text(&b, fs, func(string, int) string { return line }, false); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, text := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		if i%3 == 1 { // the line itself
			got = append(got, strings.Trim(strings.TrimPrefix(text, "    1 | "), "é"))
		}
	}
	around := func(mark string) string {
		return "…" + strings.Repeat("é", 60) + mark + strings.Repeat("é", 59) + "…"
	}
	want := []string{around("A"), around("B"), around("A"), "…", "…", around("B")}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// That it stops early does not change what is nearest.
func TestNearestStopsEarly(t *testing.T) {
	var words []string
	for _, a := range []string{"out", "our", "uot", "o", "output", "param", "parma"} {
		for _, b := range []string{"", "1", "12", "21", "-1", "_2", "x"} {
			words = append(words, a+b)
		}
	}
	var whole table
	for _, name := range words {
		for _, other := range words {
			a, b := fold(nil, name), fold(nil, other)
			all := whole.distance(a, b, 1000)
			for most := range 8 {
				if d := whole.distance(a, b, most); d != all && (all <= most || d <= most) {
					t.Errorf("%q and %q are %d apart, and %d when more than %d is too far", name, other, all, d, most)
				}
			}
		}
	}
}
