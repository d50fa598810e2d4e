package schema

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// Every style of text, each holding X once: Within must find it.
func TestWithin(t *testing.T) {
	for name, text := range map[string]string{
		"plain":                     "a: one X two\n",
		"plain, folded":             "a: one\n  two   \n\n\n   three X four\nb: 1\n",
		"plain, anchored":           "a: &here one X two\n",
		"plain, anchored, comment":  "a: &here # why\n  one X two\n",
		"plain, umlauts":            "ä: öü X two\n",
		"plain, tabs":               "a:\t one\t\ttwo X\n",
		"plain, at the end":         "a: X",
		"plain, in braces":          "a: {b: [1, yX ], c: 2}\n",
		"plain, over lines in list": "a: [one\n two\n X, b]\n",
		"single":                    "a: 'it''s X'\n",
		"single, folded":            "a: 'it''s  \n\n   long X '' x'\n",
		"single, anchored":          "a: &b 'it''s X'\n",
		"double":                    `a: "\"\t\u00e4\x41 X"` + "\n",
		"double, big escape":        `a: "\U0001F600 \N\_\L\P\e X"` + "\n",
		"double, folded":            "a: \"one\n  two\n\n\n  three X\"\n",
		"double, joined":            "a: \"one \\\n   \\  two\\\n\n   X\"\n",
		"literal":                   "a: |\n  one\n  X\n",
		"literal, deeper":           "a: |\n  one\n\n     two\n\n\n  three X\nb: 1\n",
		"literal, blank first":      "a: |\n\n\n  one\n  X\n",
		"literal, indicator":        "a: |2-\n    one\n   X\n",
		"literal, keep":             "a: |+ # why\n  one\n  X\n\n\n",
		"literal, CRLF":             "a: |\r\n  one\r\n  X\r\n  y\r\n",
		"literal, CR":               "a: |\r  one\r  X\r  y\r",
		"literal, no end":           "a: |\n  X",
		"literal, trailing blanks":  "a: |\n  one   \n  X  \n",
		"literal, tabs":             "a: |\n  one\n  \tX\n",
		"literal, anchored":         "a: &b |\n  one\n  X\n",
		"literal, in a list":        "a:\n- |\n one\n X\n",
		"folded":                    "a: >\n  one\n  two\n  X\n",
		"folded, paragraphs":        "a: >-\n  one\n  two\n\n  three\n\n\n  X four\n  five\n",
		"folded, more indented":     "a: >\n  one\n    two\n    X\n  three\n",
		"folded, list":              "a: >\n\n  one\n   * X\n\n  * two\n",
		"folded, CRLF":              "a: >\r\n  one\r\n  two X\r\n",
		"BOM":                       "\ufeffa: X\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, fs := Read("f", []byte(text))
			if len(fs) > 0 {
				t.Fatal(fs)
			}
			path := ""
			for _, p := range []string{"/a", "/ä", "/a/b/1", "/a/0"} {
				if got, ok := s.Text(p); ok && strings.Contains(got, "X") {
					path = p
				}
			}
			if list, ok := s.Tree.(map[string]any)["a"].([]any); ok && path == "" {
				t.Fatal(list)
			}
			decoded, _ := s.Text(path)
			got := s.Within(path, strings.IndexByte(decoded, 'X'))
			if want := s.posAt(strings.IndexByte(string(s.data), 'X')); got != want {
				t.Errorf("%q: X is at %v, want %v", decoded, got, want)
			}
			if runes := []rune(s.Line(got.Line)); len(runes) < got.Col || runes[got.Col-1] != 'X' {
				t.Errorf("line %d column %d of %q is not X", got.Line, got.Col, text)
			}
		})
	}
}

func TestSourceNavigation(t *testing.T) {
	s, fs := Read("f", []byte("base: &base\n  x: 1\n  deep: {y: [a, b]}\nuse:\n  <<: *base\n  x: 2\nsame: *base\n\"a/b~c\": v\n"))
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	for path, want := range map[string]string{
		"": "1:1", "/base": "1:7", "/base/x": "2:6", "/base/deep/y/1": "3:17", "/use/x": "6:6", "/use/deep/y/1": "3:17",
		"/same/x": "2:6", "/use/none/more": "5:3", "/base/deep/y/7": "3:13", "/a~1b~0c": "8:10",
	} {
		if p := s.At(path); fmt.Sprintf("%d:%d", p.Line, p.Col) != want {
			t.Errorf("At(%q) = %v, want %s", path, p, want)
		}
	}
	for path, want := range map[string]string{"/use/x": "6:3", "/use/deep": "3:3", "/a~1b~0c": "8:1", "/base/deep/y/1": "3:17"} {
		if p := s.KeyAt(path); fmt.Sprintf("%d:%d", p.Line, p.Col) != want {
			t.Errorf("KeyAt(%q) = %v, want %s", path, p, want)
		}
	}
	if got := strings.Join(s.Keys("/use"), " "); got != "x deep" {
		t.Errorf("Keys = %q", got)
	}
	if got := s.Tree.(map[string]any)["use"].(map[string]any)["x"]; got != 2 {
		t.Errorf("a key of the map itself must win over a merged one, got %v", got)
	}
	if got := s.Line(8); got != `"a/b~c": v` {
		t.Errorf("Line(8) = %q", got)
	}
}

// hostile are files made to exhaust a reader: each must be refused, or read.
func hostile() map[string]string {
	var keys, indents, aliases, long strings.Builder
	for i := range 80_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	for i := range 1400 {
		indents.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	aliases.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 20 {
		fmt.Fprintf(&aliases, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i)
	}
	for i := range 130_000 {
		fmt.Fprintf(&long, "  s%d: {target: local, run: x}\n", i)
	}
	return map[string]string{
		"many keys": keys.String(), "? lines": strings.Repeat("? \n", 1<<18), "one long list": "[" + strings.Repeat("1,", 524_000) + "1]",
		"dashes": strings.Repeat("-\n", 520_000), "brackets": strings.Repeat("[", 1<<20), "indents": indents.String(), "open braces": strings.Repeat("{a: ", 60), "closed braces": strings.Repeat("{a: ", 9000),
		"billion laughs": aliases.String(), "an alias in itself": "a: &a [*a]\n", "an alias in its map": "a: &a {b: *a}\n", "merge in itself": "a: &a\n  <<: *a\n",
		"100k documents": strings.Repeat("---\na: 1\n", 100_000), "one large text": "a: " + strings.Repeat("x", 300<<10), "large file": strings.Repeat("#", maxBytes+1),
		"UTF-16": "\xff\xfea\x00", "line separator": "a: x\u2028b: 2", "right to left": "a: \u202e2", "NUL": "a: \"\\0\"", "nest 65": strings.Repeat("- ", 70) + "x",
		"flow 65": strings.Repeat("[", 70) + strings.Repeat("]", 70), "a tag": "a: !!binary x", "own tag": "a: !x {b: 1}", "130k stages": "stages:\n" + long.String(),
		"large of list": strings.Repeat("- a\n", 1<<19), "large of flow": "[" + strings.Repeat("1,", 1<<20-20) + "1]", "many aliases": "a: &a x\nb: [" + strings.Repeat("*a,", 300_000) + "*a]",
		"large of quotes": "[" + strings.Repeat("'',", 600_000) + "'']", "large of keys in braces": "{" + strings.Repeat("a,", 1<<20-20) + "b}", "bad keys": strings.Repeat("? [a]\n: b\n", 10_000),
		"leading zeros": "[" + strings.Repeat("01,", 100_000) + "01]", "merge lists": "a: &a {x: 1}\nb:\n" + strings.Repeat("  <<: *a\n", 100_000),
	}
}

func TestHostileFilesAreRefused(t *testing.T) {
	var before, after runtime.MemStats
	for name, text := range hostile() {
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, fs := Read("f", []byte(text))
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		first := "read"
		if len(fs) > 0 {
			first = fs[0].Error()
		}
		t.Logf("%-24s %5d KB %6d ms %5d MB %4d findings, %.100s", name, len(text)>>10, took.Milliseconds(), (after.TotalAlloc-before.TotalAlloc)>>20, len(fs), first)
		if len(fs) == 0 && name != "open braces" {
			t.Errorf("%s: not refused", name)
		}
	}
}

func TestTenThousandStagesAreRead(t *testing.T) {
	var b strings.Builder
	b.WriteString("amlflow: v1\npipeline: wide\nstages:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  s%d: { target: local, command: [python3, step.py, --number, \"%d\"], outputs: { a: file } }\n", i, i)
	}
	if _, fs := Read("f", []byte(b.String())); len(fs) > 0 {
		t.Error(fs[0])
	}
}

func addFiles(f *testing.F) {
	for _, pattern := range []string{"testdata/ok/*.yaml", "testdata/err/*.yaml", "testdata/folder/*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, s := range []string{"a: 1", "a: [1, {b: c}]\n", "a: |\n  x\n", "? [a]\n: b", "a: !!binary x", "- - - 1", "a: &x 1\nb: *x", "0: [:!00 \xef", "a: >\n  x\n   y\n\n  z",
		"a: \"x\\\n  y\\u00e4\"", "a: 'it''s\n\n  x'", "<<: {a: 1}", "a: &a [*a]", "a: |+2\n    x\n\n", "- &a a\n- *a\n", "a: {if: ${{ x }}}", "%YAML 1.2\n---\na: b\n...\n"} {
		f.Add([]byte(s))
	}
}

func FuzzRead(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, fs := Read("f", data)
		for _, x := range fs {
			if x.Line < 1 || x.Col < 1 || x.Line > len(s.lines) || x.Code == "" || x.Message == "" || x.Hint == "" {
				t.Fatalf("%q: a finding without place or words: %#v", data, x)
			}
		}
		if len(fs) > 0 || s.root == nil {
			return
		}
		text, err := json.Marshal(s.Tree)
		if err != nil {
			t.Fatalf("%q: what is read must be JSON: %v", data, err)
		}
		follow(t, s, s.root, map[*value]bool{})
		again, fs := Read("g", text)
		if len(fs) > 0 {
			return // larger than a limit now, or with a character that JSON writes and YAML refuses
		}
		if twice, _ := json.Marshal(again.Tree); string(twice) != string(text) {
			t.Fatalf("%q: read again as JSON it changes:\n%s\n%s", data, text, twice)
		}
	})
}

// follow sees that every text can be followed back into the file.
func follow(t *testing.T, s *Source, v *value, seen map[*value]bool) {
	if seen[v] {
		return
	}
	seen[v] = true
	if n := v.node(); n.is(yaml.ScalarNode) {
		at, _, ok := s.unfold(n)
		if !ok && n.value != "" {
			t.Fatalf("the text %q (style %d, line %d) cannot be followed in %q", n.value, n.style, n.line, s.data)
		}
		for i := 1; i < len(at); i++ {
			if at[i] < at[i-1] || at[i] > len(s.data) {
				t.Fatalf("places of %q go back: %v", n.value, at)
			}
		}
	}
	for _, f := range v.fields {
		follow(t, s, f.value, seen)
	}
	for _, item := range v.items {
		follow(t, s, item, seen)
	}
}
