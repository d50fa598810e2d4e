package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// Of very many stages those are shown that a person looks for, with what they are in.
func TestStatusOfVeryManyStages(t *testing.T) {
	r := &flow.Progress{Run: "r"}
	for i := range 1000 {
		r.Stages = append(r.Stages, flow.StageProgress{Name: fmt.Sprint("s", i), Status: target.Succeeded})
	}
	r.Stages[700].Status = target.Running
	r.Stages[800].Items = []flow.StageProgress{{Name: "fine", Status: target.Succeeded}, {Name: "bad", Status: target.Failed}}
	var out bytes.Buffer
	p := &program{out: &out}
	p.showStages(flow.Excerpt{Progress: r}, 6)
	var names []string
	for line := range strings.Lines(out.String()) {
		names = append(names, strings.Fields(line)[0])
	}
	if got := strings.Join(names, " "); got != "STAGE s0 s1 s2 s700 s800 bad …" {
		t.Errorf("shown: %s", got)
	}
	if want := "…  and 996 more: 996 succeeded; `"; !strings.Contains(out.String(), want) {
		t.Errorf("want %q in\n%s", want, out.String())
	}
	out.Reset()
	p.showStages(*flow.NewExcerpt(r, 6), 6)
	if all := out.String(); !strings.Contains(all, "bad") || !strings.Contains(all, "…  and 996 more: 996 succeeded; `") {
		t.Errorf("of an excerpt it shows\n%s", all)
	}
	out.Reset()
	if p.showStages(flow.Excerpt{Progress: r}, 2000); strings.Count(out.String(), "\n") != 1003 {
		t.Errorf("%d lines, want all", strings.Count(out.String(), "\n"))
	}
}
