package schema

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The examples are the style: they stay as they are.
func TestFormatLeavesTheExamples(t *testing.T) {
	var names []string
	for _, pattern := range []string{"../specs/*/*.yaml", "../specs/*/*/*.yaml", "../specs/*/*/*/*.yaml"} {
		found, _ := filepath.Glob(pattern)
		names = append(names, found...)
	}
	if len(names) < 3 {
		t.Fatal("no examples", names)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, fs := Format(name, data)
		if d := cmp.Diff(string(data), string(got)); d != "" || fs.Bad() {
			t.Errorf("%s: %v\n%s", name, fs, d)
		}
	}
}

func TestFormatSmall(t *testing.T) {
	for in, want := range map[string]string{
		"a: 1":                                "a: 1\n",
		"\ufeffa: 1\r\nb: 2\r\n":              "a: 1\nb: 2\n",
		"\n\n\na: 1\n\n\n\nb: 2\n\n\n":        "a: 1\n\nb: 2\n",
		"a:\t1   \n":                          "a: 1\n",
		"a : 1\n":                             "a: 1\n",
		"a:   1\nbb:     2\n":                 "a: 1\nbb: 2\n",
		"a:   1\nbb:  2\n":                    "a:  1\nbb: 2\n",
		"{a: 1,b: [ 1,2 , 3 ],c: { },d: [ ]}": "{ a: 1, b: [1, 2, 3], c: {}, d: [] }\n",
		"{a: , b: 1}":                         "{ a: , b: 1 }\n",
		"{\"a\":1}":                           "{ \"a\": 1 }\n",
		"a: &x 1\n*x : 2\n":                   "a: &x 1\n*x : 2\n",
		"&k a:   &v {b: *k}\n":                "&k a: &v { b: *k }\n",
		"a:\n- 1\n-   2\n":                    "a:\n  - 1\n  - 2\n",
		"a:\n- b: 1\n  c: 2\n-\n  - x\n":      "a:\n  - b: 1\n    c: 2\n  -\n    - x\n",
		"- - 1\n  - 2\n-   - 3\n":             "- - 1\n  - 2\n- - 3\n",
		"a:\n    b:\n          c: 1\n":        "a:\n  b:\n    c: 1\n",
		"a: |\n  x\n":                         "a: |\n  x\n",
		"a: |\n  x":                           "a: |-\n  x\n",
		"a: |+\n  x":                          "a: |-\n  x\n",
		"a: |+\n  x\n\n\n":                    "a: |+\n  x\n\n\n",
		"a: |+\n  x\n\n\nb: 1":                "a: |+\n  x\n\n\nb: 1\n",
		"a: |\n  x\n\n\nb: 1":                 "a: |\n  x\n\nb: 1\n",
		"a: |2\n     x\n   y\n":               "a: |2\n     x\n   y\n",
		"a:\n    b: |1\n       x\n      y\n":  "a:\n  b: |1\n     x\n    y\n",
		"a: >-  #c\n        x\n         y\n":  "a: >-  # c\n  x\n   y\n",
		"a: |\n   \n\n   x  \n     \n   y\n":  "a: |\n\n\n  x  \n    \n  y\n",
		"a: |\n\nb: 1\n":                      "a: |\n\nb: 1\n",
		"a: 'x\n\n      y'\n":                 "a: 'x\n\n  y'\n",
		"a: \"x\\\n      \\  y\\ \n z\"\n":    "a: \"x\\\n  \\  y\\ \n  z\"\n",
		"a: x\n     y\n     z\n":              "a: x\n  y\n  z\n",
		"a: # why\n     x\n":                  "a: # why\n  x\n",
		"---\n#c\na: 1\n...\n":                "---\n# c\na: 1\n...\n",
		"%YAML 1.1\n---\na: 1\n":              "%YAML 1.1\n---\na: 1\n",
		"a: [1,\n2,\n   3\n   ]\n":            "a: [1,\n  2,\n  3\n]\n",
		"a: {\nb: [\n1\n],\n#x\nc: {d: 1}\n}": "a: {\n  b: [\n    1\n  ],\n  # x\n  c: { d: 1 }\n}\n",
		"- [\n1]\n":                           "- [\n    1]\n",
		"#a\n##b\n#!c\n#\na: 1 #d\n":          "# a\n##b\n#!c\n#\na: 1 # d\n",
	} {
		got, fs := Format("f", []byte(in))
		if string(got) != want {
			t.Errorf("%q became\n%q, want\n%q %v", in, got, want, fs)
		}
		if again, fs := Format("f", got); !bytes.Equal(got, again) {
			t.Errorf("%q becomes %q, then %q %v", in, got, again, fs)
		}
	}
}

func TestFormatRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"a: [":           "1:5: error",
		"a: 1\na: 2\n":   "2:1: error",
		"a: 1\n? b\n: 2": "2:1: error",
		"":               "1:1: error",
	} {
		got, fs := Format("f", []byte(in))
		if got != nil || !fs.Bad() || !strings.HasPrefix(fs[0].Error(), "f:"+want) {
			t.Errorf("%q: %q %v", in, got, fs)
		}
	}
}

func TestFormatIsQuick(t *testing.T) {
	files := hostile()
	files["a long line"] = "a: [" + strings.Repeat("1,", 190_000) + "1] # why\n"
	files["many comments"] = strings.Repeat("#\n", 190_000) + "a: 1\n" + strings.Repeat("  #\n", 190_000)
	files["lined up"] = strings.Repeat("- a:  1 # x\n  bb: 2 # y\n", 20_000)
	files["many texts"] = strings.Repeat("- |\n\n\n", 60_000)
	for name, text := range files {
		start := time.Now()
		got, _ := Format("f", []byte(text))
		t.Logf("%-24s %6d ms %d KB", name, time.Since(start).Milliseconds(), len(got)>>10)
	}
	var b strings.Builder
	b.WriteString("amlflow: v1\npipeline: wide\nstages:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "    s%d:\n        run: |\n            echo %d\n        # why\n        env: {A: '%d'} #x\n", i, i, i)
	}
	start := time.Now()
	got, fs := Format("f", []byte(b.String()))
	t.Logf("10,000 stages: %v", time.Since(start))
	if fs.Bad() || !bytes.Contains(got, []byte("\n  s9999:\n    run: |\n      echo 9999\n    # why\n    env: { A: '9999' } # x\n")) {
		t.Error(fs, string(got[max(0, len(got)-200):]))
	}
}

// FuzzFormat wants of every file that the meaning, the comments and the result of
// formatting stay.
func FuzzFormat(f *testing.F) {
	addFiles(f)
	for _, s := range []string{"a:\n- 1 #x\n  #y\n- b: |+\n     x\n\n\n  c: {\n d: [1,\n2]}\n", "a:  1\nb:  2 # x\n       # y\n  # z\n", "a: \"x\\ \n  y\" # z\n&a b: *a\n", "- - |2\n     x\n  - >-\n\n   y"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, fs := Format("f", data)
		if out == nil {
			if !fs.Bad() || fs[0].Code == "not-formatted" && reasonable(data) {
				t.Fatalf("%q is refused without a reason: %v", data, fs)
			}
			return
		}
		was, _ := Read("f", data)
		is, fs := Read("f", out)
		if d := cmp.Diff(was.Tree, is.Tree); d != "" || fs.Bad() {
			t.Fatalf("%q\n%q\nsay different things: %v %s", data, out, fs, d)
		}
		if a, b := letters(comments(t, was)), letters(comments(t, is)); a != b {
			t.Fatalf("%q\n%q\nthe comments were %q and are %q", data, out, a, b)
		}
		again, fs := Format("f", out)
		if !bytes.Equal(out, again) {
			t.Fatalf("%q\nfirst  %q\nsecond %q\n%v", data, out, again, fs)
		}
		for line := range strings.SplitSeq(string(out), "\n") {
			if strings.HasPrefix(line, "\t") && !bytes.Contains(data, []byte("|")) && !bytes.Contains(data, []byte(">")) {
				t.Fatalf("%q\n%q\nis indented with a tab", data, out)
			}
		}
	})
}

// reasonable leaves out what need not be formatted: no map, keys behind ?, and names
// that would begin or end a document in the first column.
func reasonable(data []byte) bool {
	s, _ := Read("f", data)
	_, isMap := s.Tree.(map[string]any)
	return isMap && !bytes.ContainsAny(data, "?%") && !bytes.Contains(data, []byte("---")) && !bytes.Contains(data, []byte("..."))
}

// comments are what is written behind every # that the lexer finds.
func comments(t *testing.T, s *Source) string {
	var b strings.Builder
	tokens, refused := s.tokens()
	if refused != nil {
		t.Fatal(refused)
	}
	for _, x := range tokens {
		if x.kind == tokComment {
			b.WriteString(string(s.data[x.at:][:len(s.Line(x.line+1))-(x.at-s.lines[x.line].start)]))
		}
	}
	return b.String()
}

func letters(text string) string { return strings.Join(strings.Fields(text), "") }
