package main

import (
	"encoding/xml"
	"math"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine"
)

// What is drawn is a line from corner to corner, and whatever is given stays in the frame.
func TestCurves(t *testing.T) {
	all := newSummaries()
	for i := range 20 {
		all.add(engine.Point{Stage: "fit", Attempt: 1, Metric: "loss", Value: float64(i), Step: float64(i), HasStep: true})
		all.add(engine.Point{Stage: "fit", Attempt: 1, Metric: "flat", Value: 3})
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		all.add(engine.Point{Stage: "fit", Attempt: 1, Metric: "odd", Value: x})
	}
	for _, x := range []engine.Point{{Value: 2, Step: 2}, {Value: 5, Step: 5}, {Value: 7, Step: 5}, {Value: 3, Step: 3}} {
		x.Stage, x.Attempt, x.Metric, x.HasStep = "fit", 1, "mixed", true
		all.add(x)
	}
	of := all.newest()
	if mixed := of[seriesKey{stage: "fit", metric: "mixed"}]; mixed.last != 7 || mixed.step != "5" || curveOf("", mixed).x[1] != 3 {
		t.Errorf("the last is not that of the highest step: %+v", mixed)
	}
	rising := braille("loss", []curve{curveOf("run", of[seriesKey{stage: "fit", metric: "loss"}])})
	if first, last := rising[3], rising[len(rising)-2]; !strings.HasSuffix(first, "⠉") && !strings.HasSuffix(first, "⠁") || !strings.HasPrefix(last, "  │⣀") && !strings.HasPrefix(last, "  │⡠") {
		t.Errorf("the line does not go from corner to corner:\n%s", strings.Join(rising, "\n"))
	}
	for _, name := range []string{"loss", "flat", "odd"} {
		c := []curve{curveOf(`<&"`, of[seriesKey{stage: "fit", metric: name}])}
		for _, row := range braille(name, c) {
			if n := len([]rune(row)); n > plotWide+3 && !strings.Contains(row, "steps") {
				t.Errorf("%s: a row of %d characters", name, n)
			}
		}
		if err := xml.Unmarshal([]byte(drawing(name, c)), new(struct{})); err != nil {
			t.Errorf("%s is no SVG: %v", name, err)
		}
	}
}
