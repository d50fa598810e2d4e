package schema

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/amlflow/amlflow/schema/diag"
)

const nastyHead = "amlflow: v1\npipeline: p\n"

// times writes format n times, with the number of each for every "#".
func times(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// stagesOf are n stages, each on a line.
func stagesOf(n int, stage string) string { return "stages:\n" + times(n, "  s#: "+stage+"\n") }

// mistaken is a file of n mistakes, one in each stage.
func mistaken(stage string) string { return nastyHead + stagesOf(19_999, stage) }

// nastyWrong are pipelines full of mistakes.
func nastyWrong() map[string]string {
	const ok = "stages: { a: { run: x } }\n"
	return map[string]string{
		"unknown keys in stages":      mistaken("{ rn: x }"),
		"values of the wrong type":    mistaken("{ run: x, timeout: [1] }"),
		"times that are none":         mistaken("{ run: x, timeout: 5 parsecs }"),
		"two kinds":                   mistaken("{ run: x, command: [y] }"),
		"no kind":                     mistaken("{}"),
		"stages that are text":        mistaken("x"),
		"unknown parameters":          mistaken(`{ run: "${{ params.nope# }}" }`),
		"half expressions":            mistaken(`{ run: "${{ 1 + }}" }`),
		"bad names":                   nastyHead + "stages:\n" + times(19_999, "  S_#!: { run: x }\n"),
		"names that clash":            nastyHead + "stages:\n" + times(9_999, "  s-#: { run: x }\n  s_#: { run: x }\n"),
		"unknown keys":                nastyHead + times(10_000, "unknown#: 1\n") + ok,
		"unknown needs":               nastyHead + "stages:\n" + times(10_000, "  stage#: { run: x, needs: [stagex#] }\n"),
		"long unknown needs":          nastyHead + "stages:\n" + times(3000, "  stage-"+strings.Repeat("abcdefgh", 12)+"#: { run: x, needs: [stage-"+strings.Repeat("abcdefgi", 12)+"#] }\n"),
		"slips of parameters":         nastyHead + "params: { " + times(5000, "param#: { type: string, default: a }, ") + "}\n" + stagesOf(5000, `{ run: "echo ${{ params.paran# }}" }`),
		"slips of outputs":            nastyHead + "stages:\n  a: { run: x, outputs: { " + times(5000, "out#: string, ") + "} }\n" + times(5000, "  t#: { run: \"echo ${{ stages.a.outputs.our# }}\" }\n"),
		"targets that are not there":  nastyHead + stagesOf(10_000, "{ run: x, target: locl# }"),
		"causes that are none":        nastyHead + "stages: { a: { run: x, retry: { on: [" + times(19_000, "exi #, ") + "] } } }\n",
		"parameters that nobody uses": nastyHead + "params: { " + times(19_000, "p#: { type: string, default: a }, ") + "}\n" + ok,
		"defaults beyond their bound": nastyHead + "defaults: { env: { " + times(10_000, "A#: b, ") + "} }\n" + stagesOf(5000, "{ run: x, env: { B: c } }"),
		"an anchor of megabytes":      nastyHead + "x: *" + strings.Repeat("a", maxBytes-300) + "\n",
		"a quote that is not closed":  nastyHead + `x: "` + strings.Repeat("a ", maxBytes/2-300),
		"brackets without commas":     nastyHead + "x: [" + strings.Repeat("[]{}", maxBytes/4-300),
		"brackets without end":        nastyHead + "x: [" + strings.Repeat("a ", maxBytes/2-300),
		"long keys again and again":   nastyHead + "x: { " + strings.Repeat(strings.Repeat("a", 1900)+": 1, ", 1000) + "}\n",
		"a list as a key":             nastyHead + "x: [[" + strings.Repeat("a, ", 190_000) + "]: 1]\n",
		"line ends":                   strings.Repeat("\r", maxBytes-10),
		"brackets in brackets":        nastyHead + "x:\n" + strings.Repeat("- "+strings.Repeat("[", 250)+strings.Repeat("]", 250)+"\n", 3000),
		"characters of a long line":   strings.Repeat("\u0085", maxBytes/2-10),
	}
}

// nastyRight are pipelines that ask for much, and may have it or not.
func nastyRight() map[string]string {
	axes := func(n int) string {
		return "a: [" + times(n, "#, ") + "], b: [" + times(n, "#, ") + "], c: [" + times(n, "#, ") + "], d: [" + times(n, "#, ") + "]"
	}
	chain := func(n int, stage string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.NewReplacer("#", fmt.Sprint(i), "@", fmt.Sprint((i+n-1)%n)).Replace("  s#: " + stage + "\n"))
		}
		return nastyHead + "stages:\n" + b.String()
	}
	return map[string]string{
		"ten thousand stages":         nastyHead + stagesOf(10_000, "{ run: x }"),
		"a join of ten thousand":      nastyHead + stagesOf(10_000, "{ run: x }") + "  j: { run: x, needs: [" + times(10_000, "s#, ") + "] }\n",
		"a ring of needs":             chain(10_000, "{ run: x, needs: [s@] }"),
		"a ring of data":              chain(5000, `{ run: "echo ${{ stages.s@.outputs.o }}", outputs: { o: string } }`),
		"expressions in the defaults": nastyHead + "params: { p: { type: integer, default: 1 } }\ndefaults: { env: { " + times(50, `A#: "${{ params.p + # }}", `) + "} }\n" + stagesOf(10_000, "{ run: x }"),
		"own variables":               nastyHead + "defaults: { env: { " + times(50, "A#: b, ") + "} }\n" + stagesOf(10_000, "{ run: x, env: { B: c } }"),
		"patterns":                    nastyHead + "params: { " + times(5000, "p#: { type: string, default: aaaa, pattern: '(a?){40}[a-z]{100}' }, ") + "}\n" + stagesOf(1, "{ run: x }"),
		"patterns of all letters":     nastyHead + "params: { " + times(2000, `p#: { type: string, default: a, pattern: '(?i)[\pL\pN]{40}' }, `) + "}\n" + stagesOf(1, "{ run: x }"),
		"exclude":                     nastyHead + "stages: { a: { run: x, matrix: { " + axes(10) + ", exclude: [" + times(1000, "{ a: 1, b: 2, c: # }, ") + "] } } }\n",
		"a great many combinations":   nastyHead + "stages: { a: { run: x, matrix: { " + axes(200) + " } } }\n",
		"scripts":                     nastyHead + stagesOf(30, "{ run: '"+strings.Repeat(`echo $(a "b" ${c:-d}) | e && f; `, 1900)+"${{ # }}' }"),
		"a script of pipes":           nastyHead + "stages: { a: { run: \"" + strings.Repeat("a|", 31_000) + "a\" } }\n",
		"half a script":               nastyHead + "stages: { a: { run: \"" + strings.Repeat("$((", 21_000) + "\" } }\n",
		"expressions that open":       nastyHead + "stages: { a: { run: \"" + strings.Repeat("${{", 80_000) + "\" } }\n",
		"an enum":                     nastyHead + "params: { p: { type: string, default: zz, enum: [" + times(100_000, "v#, ") + "] } }\n" + stagesOf(1, "{ run: x }"),
		"files that are not there":    nastyHead + stagesOf(5000, "{ run: python f#.py, code: ./c# }"),
	}
}

// A file may hold as many mistakes as it likes: the first are said, and how many more there are.
func TestNastyMistakes(t *testing.T) {
	for _, files := range []map[string]string{nastyWrong(), nastyRight()} {
		for name, text := range files {
			weigh(t, name, func() diag.Findings {
				p, fs := ReadPipeline("f", []byte(text))
				return append(fs, Check(p, nil, fstest.MapFS{})...)
			})
		}
	}
}

// weigh prints what a look at a file takes. What it allocates does not depend on the
// machine, so that is held to a bound: all of it, of which a part is held at once.
func weigh(t *testing.T, name string, look func() diag.Findings) diag.Findings {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	fs := look()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	taken, first := (after.TotalAlloc-before.TotalAlloc)>>20, "nothing"
	if len(fs) > 0 {
		first = fs[0].Error()
	}
	t.Logf("%-28s %6d ms %5d MB %6d findings, %.90q", name, took.Milliseconds(), taken, len(fs), first)
	if len(fs) > 3*(maxFindings+1) {
		t.Errorf("%s: %d findings are more than anyone reads", name, len(fs))
	}
	if taken > 700 {
		t.Errorf("%s takes %d MB", name, taken)
	}
	return fs
}

func TestEnoughKeepsErrorsFirst(t *testing.T) {
	var all diag.Findings
	for i := range 3 * maxFindings {
		severity := diag.Warning
		if i%2 == 0 {
			severity = diag.Error
		}
		all = append(all, diag.Finding{Pos: diag.Pos{File: "f", Line: i + 1, Col: 1}, Severity: severity, Code: "x", Message: "m", Hint: "h"})
	}
	got := enough(all)
	last := got[len(got)-1]
	if len(got) != maxFindings+1 || last.Severity != diag.Error || last.Code != "too-large" || !strings.HasPrefix(last.Message, "1000 more ") || last.Line != 2*maxFindings+1 {
		t.Errorf("%d findings, the last is %v", len(got), last)
	}
	for _, f := range got {
		if f.Severity != diag.Error {
			t.Fatalf("advice is kept while errors are left out: %v", f)
		}
	}
	if few := enough(all[:maxFindings:maxFindings]); len(few) != maxFindings {
		t.Errorf("%d of %d are kept", len(few), maxFindings)
	}
}

// users is a folder of pipelines, of which each runs the next so many times.
func users(levels, each int) fstest.MapFS {
	files := fstest.MapFS{}
	for i := range levels {
		stages := times(each, fmt.Sprintf("  s#: { pipeline: n%d.pipeline.yaml }\n", i+1))
		if i == levels-1 {
			stages = "  a: { run: x }\n  b: { run: x }\n"
		}
		files[fmt.Sprintf("n%d.pipeline.yaml", i)] = &fstest.MapFile{Data: []byte(nastyHead + "stages:\n" + stages)}
	}
	return files
}

// counted counts how often files are asked for.
type counted struct {
	FolderImporter
	asked int
}

func (c *counted) Import(kind, ref string, from Import) (string, []byte, Import, *diag.Finding) {
	c.asked++
	return c.FolderImporter.Import(kind, ref, from)
}

// Files that use each other many times are read once, and end where they would be
// more stages than one pipeline may have.
func TestNastyFiles(t *testing.T) {
	large := fstest.MapFS{"t.template.yaml": &fstest.MapFile{Data: []byte("amlflow: v1\ntemplate: t\nparams: { " + times(5000, "p#: { type: string, default: a }, ") + "}\nstage: { run: x }\n")}}
	many := fstest.MapFS{}
	for i := range 20 {
		many[fmt.Sprintf("p%d.pipeline.yaml", i)] = &fstest.MapFile{Data: []byte(nastyHead + stagesOf(1, "{ run: x }") + strings.Repeat("# comment comment\n", 1<<20/18))}
	}
	for name, c := range map[string]struct {
		files fstest.MapFS
		text  string
		code  diag.Code
		most  int
	}{
		"two, ten deep":      {users(10, 2), "  a: { pipeline: n1.pipeline.yaml }\n", "", 20},
		"ten, nine deep":     {users(10, 10), "  a: { pipeline: n1.pipeline.yaml }\n", "too-large", 20},
		"a hundred, twice":   {users(3, 100), times(100, "  s#: { pipeline: n0.pipeline.yaml }\n"), "too-large", 10},
		"names of nothing":   {users(1, 1), times(10_000, "  s#: { pipeline: m#.pipeline.yaml }\n"), "missing-file", 250},
		"one name, again":    {users(1, 1), times(10_000, "  s#: { uses: ./m.template.yaml }\n"), "missing-file", 1},
		"many parameters":    {large, times(2000, "  s#: { uses: ./t.template.yaml }\n"), "", 1},
		"files of megabytes": {many, times(20, "  s#: { pipeline: p#.pipeline.yaml }\n"), "too-large", 20},
	} {
		im := &counted{FolderImporter: FolderImporter{Files: c.files, Beside: c.files}}
		fs := weigh(t, name, func() diag.Findings {
			p, fs := ReadPipeline("f", []byte(nastyHead+"stages:\n"+c.text))
			fs = append(fs, p.Link(im)...)
			return append(fs, Check(p, nil, nil)...)
		})
		if bad := fs.Bad(); bad != (c.code != "") || bad && fs[0].Code != c.code {
			t.Errorf("%s: %d findings, want %q: %.200v", name, len(fs), c.code, fs)
		}
		if im.asked > c.most {
			t.Errorf("%s: files were asked for %d times", name, im.asked)
		}
	}
}

// The second parser is not given what it would need gigabytes for, and errors keep their places.
func TestSyntaxErrorsOfLargeFiles(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{nastyHead + "x: [" + strings.Repeat("[]{}", 500_000), "f:3:"},
		{nastyHead + strings.Repeat("k: [1]\n", 3000) + "x: a: b\n" + strings.Repeat("# c\n", 10_000), "f:3003:"},
		{nastyHead + "x: [[" + strings.Repeat("a, ", 150_000) + "]: 1]\n", "f:3:"},
		{nastyHead + "x: *" + strings.Repeat("a", 1<<20) + "\n", "f:3:4: error: there is no anchor &aaaa"},
	} {
		_, fs := Read("f", []byte(c.text))
		if len(fs) != 1 || !strings.HasPrefix(fs[0].Error(), c.want) || len(fs[0].Error()) > 600 {
			t.Errorf("want %s, got %.300v", c.want, fs)
		}
	}
}
