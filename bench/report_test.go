package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// madeUp has a figure of every kind. None of them was measured.
var madeUp = &report{
	Date: "2000-01-02", Machine: "2 processors, 4 GiB, an abacus", Note: "None of this is true.", Runs: 5,
	Tools: []column{
		{Name: "amlflow", Version: "v1"}, {Name: "make", Version: "4.3"}, {Name: "<loop>", Version: "2"},
		{Name: "dagu", Absent: "not in PATH"},
	},
	Works: []work{
		{Name: "one", Shape: chain, Stages: 1}, {Name: "chain of 100", Shape: chain, Stages: 100}, {Name: "chain of 1,000", Shape: chain, Stages: 1000},
		{Name: "chain of 10,000", Shape: chain, Stages: 10_000}, {Name: "fan of 100", Shape: fan, Stages: 100}, {Name: "fan of 1,000", Shape: fan, Stages: 1000},
		{Name: "check", Shape: chain, Stages: 10_000, Check: true}, {Name: killName, Shape: kill, Stages: 100},
	},
	Figures: []figure{
		{Work: "one", Tool: "amlflow", Seconds: []float64{.3, .1, .2, .5, .4}, Memory: 50 << 20, Server: 150 << 20},
		{Work: "one", Tool: "make", Seconds: []float64{.003, .001, .002, .005, .004}},
		{Work: "chain of 100", Tool: "amlflow", Seconds: []float64{1, 1, 1, 1, 1}, Memory: 50 << 20, Server: 150 << 20},
		{Work: "chain of 100", Tool: "make", Seconds: []float64{.1, .1, .1, .1, .1}},
		{Work: "chain of 100", Tool: "<loop>", Seconds: []float64{.12, .12, .12, .12, .12}},
		{Work: "chain of 1,000", Tool: "amlflow", Seconds: []float64{10, 10, 10, 10, 10}, Memory: 60 << 20, Server: 200 << 20},
		{Work: "chain of 1,000", Tool: "make", Seconds: []float64{1.5, 1.5, 1.5, 1.5, 1.5}},
		{Work: "chain of 1,000", Tool: "<loop>", Fails: "exit status 1: too `deep`"},
		{Work: "chain of 10,000", Tool: "amlflow", Seconds: []float64{110}, Memory: 160 << 20, Server: 500 << 20},
		{Work: "fan of 100", Tool: "amlflow", Seconds: []float64{.5, .5, .5, .5, .5}, Server: 170 << 20},
		{Work: "fan of 1,000", Tool: "amlflow", Seconds: []float64{4, 4, 4, 4, 4}},
		{Work: "fan of 1,000", Tool: "make", Seconds: []float64{5, 5, 5, 5, 5}},
		{Work: "check", Tool: "amlflow", Seconds: []float64{.25, .25, .25, .25}, Memory: 166 << 20},
		{Work: "check", Tool: "make", Seconds: []float64{1.25, 1.25, 1.25, 1.25, 1.25}},
		{Work: killName, Tool: "amlflow", Seconds: []float64{2, 2, 2, 2, 2}, Memory: 50 << 20, Server: 150 << 20},
		{Work: killName, Tool: "make", Seconds: []float64{.05, .05, .05, .05, .05}, Again: 1},
	},
}

func TestTable(t *testing.T) { golden(t, "table.md", madeUp.text()) }

func TestGrowth(t *testing.T) {
	text := growth(madeUp)
	golden(t, "growth.svg", text)
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing measured is still a picture, of the axes alone.
func TestGrowthOfNothing(t *testing.T) {
	if text := growth(&report{}); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error(text)
	}
}

func TestFiguresComeBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := os.WriteFile(file, []byte(madeUp.json()), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(madeUp, got); diff != "" {
		t.Error(diff)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		seconds []float64
		want    float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := (figure{Seconds: c.seconds}).median(); got != c.want {
			t.Errorf("the median of %v is %v, not %v", c.seconds, got, c.want)
		}
	}
}

func TestWrong(t *testing.T) {
	if err := madeUp.wrong(); err != nil {
		t.Errorf("only peers fail, and yet: %v", err)
	}
	for _, f := range []figure{{Work: "w", Tool: "amlflow", Fails: "no"}, {Work: "w", Tool: "amlflow, external Temporal", Again: 1}} {
		if err := (&report{Figures: []figure{f}}).wrong(); err == nil {
			t.Errorf("%+v is right", f)
		}
	}
}

func TestReplaceSection(t *testing.T) {
	page := "before\n" + sectionBegin + "old\n" + sectionEnd + "after\n"
	got, err := replaceSection(page, "new\n")
	if want := "before\n" + sectionBegin + "\nnew\n\n" + sectionEnd + "after\n"; err != nil || got != want {
		t.Errorf("%v, %q", err, got)
	}
	for _, page := range []string{"", sectionBegin, sectionEnd, sectionEnd + sectionBegin} {
		if _, err := replaceSection(page, "new\n"); err == nil {
			t.Errorf("a section was found in %q", page)
		}
	}
}

func TestApart(t *testing.T) {
	bottom := float64(top + plotDepth)
	for _, c := range []struct{ wanted, want []float64 }{
		{nil, nil},
		{[]float64{50, 200}, []float64{50, 200}},
		{[]float64{50, 51, 52}, []float64{50, 65, 80}},
		{[]float64{bottom, bottom}, []float64{bottom - labelStep, bottom}},
	} {
		if diff := cmp.Diff(c.want, apart(c.wanted)); diff != "" {
			t.Errorf("%v: %s", c.wanted, diff)
		}
	}
}
