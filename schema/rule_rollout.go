package schema

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/amlflow/amlflow/schema/expr"
)

// rollouts checks how requests move to new versions.
func (c *checker) rollouts() {
	for _, s := range c.stages() {
		if s.Deploy == nil {
			continue
		}
		at := s.Path + "/deploy"
		c.moments(at, s.Deploy)
		c.weights(at, s.Deploy)
		c.serving(at, s.Deploy)
		for i, step := range s.Deploy.Canary {
			c.verdict(s, fmt.Sprintf("%s/canary/%d/check", at, i), step.Check, inCanary)
		}
		if m := s.Deploy.Mirror; m != nil {
			c.verdict(s, at+"/mirror/check", m.Check, inMirror)
		}
		if r := s.Deploy.Rollback; r != nil {
			c.verdict(s, at+"/rollback/when", r.When, inCanary)
		}
		if s.Deploy.Sticky != "" && len(s.Deploy.Canary) == 0 {
			c.advise("no-effect", at+"/sticky", "remove it, or add `canary`", "`sticky` has no effect without `canary`: there is one version to go to")
		}
	}
}

func (c *checker) verdict(s *Stage, path, text string, of measuring) {
	c.wanted(place{path: path, text: text, stage: s, measured: of, want: expr.Type{Kind: expr.Bool}})
}

// moments checks the lengths of time.
func (c *checker) moments(at string, d *Deploy) {
	keys := []string{"mirror/hold", "rollback/hold", "rollback/every", "rollback/over", "autoscale/delay", "limits/timeout", "limits/drain", "batching/wait"}
	for i := range d.Canary {
		keys = append(keys, fmt.Sprintf("canary/%d/hold", i))
	}
	for _, key := range keys {
		c.time(at + "/" + key)
	}
}

// weights must rise: a version that was good enough for more gets no less.
func (c *checker) weights(at string, d *Deploy) {
	for i, step := range d.Canary {
		if i == 0 || step.Weight == 0 {
			continue
		}
		before := d.Canary[i-1].Weight
		if step.Weight <= before {
			c.value("weight-order", fmt.Sprintf("%s/canary/%d/weight", at, i), fmt.Sprintf("write a number above %s, or leave the step out", decimal(before)),
				"the step gives the new version %s %% of the requests, and the one before it %s %%", decimal(step.Weight), decimal(before))
		}
	}
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func (c *checker) serving(at string, d *Deploy) {
	if a := d.Autoscale; a != nil {
		if d.Instances != "" {
			c.key("two-kinds", at+"/instances", "keep `autoscale: { min: …, max: … }`, or a fixed number of `instances`", "the deployment has both `instances` and `autoscale`")
		}
		if a.Min > a.Max {
			c.value("wrong-value", at+"/autoscale/min", fmt.Sprintf("write a number up to %d", a.Max), "at least %d instances are more than %d at most", a.Min, a.Max)
		}
	}
	if d.Run == "" {
		return
	}
	for key, said := range map[string]bool{"batching": d.Batching != nil, "bytes": d.Bytes} {
		if said {
			c.key("no-effect", at+"/"+key, "remove it, or serve a Python file with `score`", "`%s` is for run(data) of a score file, and has no effect on a server of your own", key)
		}
	}
}

// measuring says where an expression speaks of what an endpoint has measured.
type measuring int

const (
	nowhere measuring = iota
	inCanary
	inMirror
)

// CheckScope is the scope of the check of a canary's step and of `rollback.when`: what
// the stage sees, and what the endpoint has measured of the new version and of the one
// before. With mirror it is that of the mirror's check.
func (p *Pipeline) CheckScope(stage *Stage, mirror bool) expr.Scope {
	scope := p.Scope(stage)
	names := maps.Clone(scope.Names)
	fields := figures()
	before := expr.Type{Kind: expr.Object, Fields: figures()}
	fields["before"] = before
	if mirror {
		fields["agreement"] = expr.Type{Kind: expr.Number, Moment: expr.RunTime}
		fields["compared"] = expr.Type{Kind: expr.Int, Moment: expr.RunTime}
	}
	names["endpoint"] = expr.Type{Kind: expr.Object, Fields: fields}
	return expr.Scope{Names: names, Functions: scope.Functions}
}

// figures are what is measured of one version.
func figures() map[string]expr.Type {
	whole, decimal := expr.Type{Kind: expr.Int, Moment: expr.RunTime}, expr.Type{Kind: expr.Number, Moment: expr.RunTime}
	return map[string]expr.Type{
		"requests": whole, "errors": whole, "rejected": whole, "error_rate": decimal, "p50_ms": decimal, "p95_ms": decimal, "p99_ms": decimal,
		"reported": {Kind: expr.Object, Elem: &decimal, Moment: expr.RunTime},
	}
}
