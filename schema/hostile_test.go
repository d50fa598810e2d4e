package schema

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// nasty are pipelines within all limits, each made to keep one rule busy.
func nasty() map[string]string {
	const head = "amlflow: v1\npipeline: p\n"
	list := func(n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(strings.ReplaceAll(format, "#", "%[1]d"), i)
		}
		return strings.Join(items, ", ")
	}
	stages := func(n int, format string) string { return "stages: { " + list(n, "s#: "+format) + " }\n" }
	return map[string]string{
		"one matrix in many stages":    head + "stages:\n  a: { run: x, matrix: &m { a: [" + list(10, "#") + "], b: [" + list(10, "#") + "], c: [" + list(10, "#") + "], d: [" + list(10, "#") + "], exclude: [" + list(100, "{ a: # }") + "] } }\n" + "  " + strings.ReplaceAll(list(700, "b#: { run: x, matrix: *m }"), ", b", "\n  b") + "\n",
		"a matrix with many values":    head + "stages: { a: { run: x, matrix: { a: [" + list(80_000, "#") + "], exclude: [" + list(1000, "{ a: -# }") + "] } } }\n",
		"a matrix with many names":     head + "stages: { a: { run: x, matrix: { " + list(15_000, "a#: [1, 2]") + " } } }\n",
		"defaults with many variables": head + "defaults: { env: { " + list(50, `A#: "${{ params.p + # }}"`) + " } }\nparams: { p: { type: integer, default: 1 } }\n" + stages(5000, "{ run: x }"),
		"defaults and own variables":   head + "defaults: { env: { " + list(50, "A#: b") + " } }\n" + stages(8000, "{ run: x, env: { B: c } }"),
		"defaults with many targets":   head + "defaults: { target: [" + list(20, "t#") + "] }\n" + stages(10_000, "{ run: x }"),
		"secrets and variables":        head + "stages: { a: { run: x, env: { " + list(19_000, "A#: b") + " }, secrets: { " + list(50, "A#: b") + " } } }\n",
		"needs":                        head + stages(300, "{ run: x, needs: ["+list(300, "s#")+"] }"),
		"with":                         head + "stages: { a: { uses: ./train.template.yaml, with: { " + list(19_000, "a#: b") + " } } }\n",
		"items of each":                head + "stages: { a: { run: \"echo ${{ each.item.a1 }}\", each: [" + list(9000, "{ a#: 1 }") + "] } }\n",
		"conditions":                   head + "params: { " + list(100, "p#: { type: string, enum: ["+list(20, "v#")+"], default: v0 }") + " }\n" + stages(3000, "{ run: x, if: \"${{ params.p# == 'v1' && params.p1 == 'v2' }}\" }"),
		"approvers":                    head + stages(3000, "{ approve: { by: ["+list(20, "ml-lead#")+"] } }"),
		"outputs":                      head + stages(800, "{ run: x, outputs: { "+list(100, "o#: string")+" } }"),
	}
}

// The worst that a file within the limits can do is to take a moment.
func TestNastyPipelines(t *testing.T) {
	w := DefaultWorkspace("")
	w.Groups = map[string][]string{}
	for i := range 1000 {
		w.Groups[fmt.Sprintf("ml-leads-%d", i)] = []string{"ana"}
	}
	var before, after runtime.MemStats
	for name, text := range nasty() {
		runtime.ReadMemStats(&before)
		start := time.Now()
		p, fs := ReadPipeline("f", []byte(text))
		fs = append(fs, Check(p, w, nil)...)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		first := "nothing"
		if len(fs) > 0 {
			first = fs[0].Error()
		}
		t.Logf("%-30s %5d KB %6d ms %5d MB %6d findings, %.90s", name, len(text)>>10, took.Milliseconds(), (after.TotalAlloc-before.TotalAlloc)>>20, len(fs), first)
		if took > 20*time.Second {
			t.Errorf("%s takes %v", name, took)
		}
	}
}
