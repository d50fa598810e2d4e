package rehearsal

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// compare holds what came of a run against what is expected.
func (j *judge) compare(made *plan.Plan, p *flow.Progress, play *play) {
	e := &j.c.Expect
	j.status(e, p)
	if e.Ran != nil {
		j.ran(e.Ran, made, p)
	}
	if e.Skipped != nil {
		j.skipped(e.Skipped, p)
	}
	for i := range e.Stages {
		j.stage(&e.Stages[i], p, play)
	}
	j.values(e.Outputs, p.Outputs, play, "the output %q")
	if e.Took != nil && !p.Ended.IsZero() {
		if took := p.Ended.Sub(p.Started); took != *e.Took {
			j.value("test-failed", e.Path+"/took", "stages take what their results say, and the pauses between attempts and what people take count too",
				"the run was expected to take %s, and it took %s", span(*e.Took), span(took))
		}
	}
}

func (j *judge) status(e *schema.Expect, p *flow.Progress) {
	why := because(p)
	switch {
	case p.Status == target.Running && e.Status != string(target.Running):
		j.key("test-failed", e.Path, "expect `status: running` if that is meant", "the run never ends%s", why)
	case e.Status != "" && e.Status != string(p.Status):
		j.value("test-failed", e.Path+"/status", strings.TrimPrefix(why, ": "), "the run was expected %s, and it %s", to[target.State(e.Status)], did[p.Status])
	}
}

// because says which stage decided how a run stands.
func because(p *flow.Progress) string {
	if p.Error != "" {
		return ": " + p.Error
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		if s.Status == target.Failed || s.Status == target.Lost || s.Status == target.Running && p.Status == target.Running {
			return fmt.Sprintf(": stage %q %s", s.Name, became(s))
		}
	}
	return ""
}

// became says what became of a stage, and why.
func became(s *flow.StageProgress) string {
	if s.Status == target.Running && s.Approval != nil {
		return s.Why
	}
	if said := said(s); said != "" {
		return did[s.Status] + ": " + said
	}
	return did[s.Status]
}

// did and to say what becomes of runs and stages.
var (
	did = map[target.State]string{target.Succeeded: "succeeded", target.Failed: "failed", target.Cancelled: "was cancelled", target.Lost: "was lost", flow.Skipped: "was skipped",
		target.Running: "goes on", target.Waiting: "did not begin"}
	to = map[target.State]string{target.Succeeded: "to succeed", target.Failed: "to fail", target.Cancelled: "to be cancelled", target.Lost: "to be lost", flow.Skipped: "to be skipped",
		target.Running: "to go on", target.Waiting: "not to begin"}
)

// said is what is said of a stage, in one line.
func said(s *flow.StageProgress) string { return strings.Join(reasons(s), ": ") }

// reasons are what is said of a stage.
func reasons(s *flow.StageProgress) []string {
	var all []string
	for _, text := range []string{s.Error, s.Why, s.Because} {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

func (j *judge) stage(e *schema.ExpectedStage, p *flow.Progress, play *play) {
	s := p.Find(e.Name)
	if s == nil {
		j.key("test-failed", e.Path, absent(e.Name, p), "something is expected of stage %q, and it is not there", e.Name)
		return
	}
	hint := said(s)
	is := func(key, want, got, what string) {
		if want != "" && want != got {
			j.value("test-failed", e.Path+"/"+key, hint, "%s of stage %q was expected to be %s, and it is %s", what, e.Name, want, or(got, "none"))
		}
	}
	if e.Status != "" && e.Status != string(s.Status) {
		j.value("test-failed", e.Path+"/status", hint, "stage %q was expected %s, and it %s", e.Name, to[target.State(e.Status)], did[s.Status])
	}
	if e.Attempts != nil && *e.Attempts != s.Attempts {
		j.value("test-failed", e.Path+"/attempts", or(hint, strings.Join(s.Notes, "; ")), "stage %q was expected to make %s, and it made %d", e.Name, attempts(*e.Attempts), s.Attempts)
	}
	is("target", e.Target, s.Target, "the target")
	is("cause", e.Cause, string(s.Cause), "the cause")
	if e.Exit != nil {
		is("exit", fmt.Sprint(*e.Exit), exitOf(s), "the exit code")
	}
	if e.Why != "" && !strings.Contains(strings.Join(reasons(s), "\n"), e.Why) {
		j.value("test-failed", e.Path+"/why", hint, "%q was expected in what is said of stage %q, and it is not there", e.Why, e.Name)
	}
	j.results(e, s, play)
	j.given(e, play)
}

func (j *judge) results(e *schema.ExpectedStage, s *flow.StageProgress, play *play) {
	of := fmt.Sprintf(" of stage %q", e.Name)
	j.values(e.Outputs, s.Outputs, play, "the output %q"+strings.ReplaceAll(of, "%", "%%"))
	metrics := map[string]any{}
	for name, v := range s.Metrics {
		metrics[name] = v
	}
	for name, v := range s.Lists {
		metrics[name] = v
	}
	j.values(e.Metrics, metrics, play, "the metric %q"+strings.ReplaceAll(of, "%", "%%"))
}

// absent says why a stage cannot be looked at.
func absent(name string, p *flow.Progress) string {
	outer, _, nested := strings.Cut(name, "/")
	base := itemSuffix.ReplaceAllString(outer, "")
	s := p.Stage(base)
	switch {
	case s == nil:
		return "check the name"
	case base != outer && s.Count == nil || nested && s.Nested == nil && s.Count == nil:
		return fmt.Sprintf("stage %q %s", base, became(s))
	case base != outer && s.Count.Total > len(s.Items):
		return fmt.Sprintf("of the %d items of stage %q only some that failed are kept", s.Count.Total, base)
	case base != outer:
		return fmt.Sprintf("stage %q ran over %d items", base, s.Count.Total)
	case s.Count != nil:
		return fmt.Sprintf("stage %q runs over several items: name one of them, like %s[0]", base, base)
	}
	return "the pipeline of the stage was not run: the test says what comes of it as a whole"
}

func exitOf(s *flow.StageProgress) string {
	if s.Exit == nil {
		return ""
	}
	return fmt.Sprint(*s.Exit)
}

// values compares named values; what names them is a format with one name in it.
func (j *judge) values(want []schema.ExpectedValue, got map[string]any, play *play, what string) {
	for _, v := range want {
		is := play.names.value(got[v.Name])
		if same(v.Value, is) {
			continue
		}
		name := fmt.Sprintf(what, v.Name)
		switch {
		case v.Value == nil:
			j.value("test-failed", v.Path, "", "%s was expected not to be there, and it is %s", name, shown(is))
		case is == nil:
			j.value("test-failed", v.Path, "", "%s was expected to be %s, and there is none", name, shown(v.Value))
		default:
			j.value("test-failed", v.Path, "", "%s was expected to be %s, and it is %s", name, shown(v.Value), shown(is))
		}
	}
}

// given compares what the last attempt of a stage was given.
func (j *judge) given(e *schema.ExpectedStage, play *play) {
	got := play.given[e.Name]
	inputs := map[string]string{}
	for name, v := range got.inputs {
		inputs[name] = v
	}
	for _, v := range e.Inputs {
		if scalar, ok := got.env[target.EnvName("AMLFLOW_INPUT_", v.Name)]; ok {
			inputs[v.Name] = scalar
		}
	}
	j.texts(e.Env, got.env, play, fmt.Sprintf("of stage %q", e.Name), "the variable")
	j.texts(e.Inputs, inputs, play, fmt.Sprintf("of stage %q", e.Name), "the input")
	var command []string
	for _, arg := range got.command {
		command = append(command, play.names.text(arg))
	}
	if e.Command != nil && !slices.Equal(e.Command, command) {
		j.value("test-failed", e.Path+"/command", "", "the command of stage %q was expected to be %q, and it is %q", e.Name, e.Command, command)
	}
	if model := play.names.text(got.model); e.Model != "" && e.Model != model {
		j.value("test-failed", e.Path+"/model", "", "the model of stage %q was expected to be %q, and it is %q", e.Name, e.Model, model)
	}
}

// texts compares what a job is given, which is text: 3 is "3" there.
func (j *judge) texts(want []schema.ExpectedValue, got map[string]string, play *play, of, what string) {
	for _, v := range want {
		text, there := got[v.Name]
		text = play.names.text(text)
		wanted, scalar := j.t.Source.Text(v.Path)
		if !scalar && v.Value != nil {
			wanted, _ = expr.Format(v.Value)
		}
		switch {
		case v.Value == nil && there:
			j.value("test-failed", v.Path, "", "%s %q %s was expected not to be set, and it is %q", what, v.Name, of, text)
		case v.Value != nil && !there:
			j.value("test-failed", v.Path, "", "%s %q %s was expected to be %q, and it is not set", what, v.Name, of, wanted)
		case v.Value != nil && wanted != text:
			j.value("test-failed", v.Path, "", "%s %q %s was expected to be %q, and it is %q", what, v.Name, of, wanted, text)
		}
	}
}

// tolerance is how far apart two numbers may be, for their size, and count as the
// same: what is worked out differs in its last digits.
const tolerance = 1e-9

// same compares plain values; 3 and 3.0 are the same.
func same(a, b any) bool {
	x, xs := a.([]any)
	y, ys := b.([]any)
	if xs && ys {
		return slices.EqualFunc(x, y, same)
	}
	m, ms := a.(map[string]any)
	n, ns := b.(map[string]any)
	if ms && ns {
		for key := range m {
			if _, ok := n[key]; !ok || !same(m[key], n[key]) {
				return false
			}
		}
		return len(m) == len(n)
	}
	if isNumber(a) && isNumber(b) {
		p, q := float(a), float(b)
		return p == q || math.Abs(p-q) <= tolerance*max(math.Abs(p), math.Abs(q))
	}
	return reflect.DeepEqual(a, b)
}

func isNumber(v any) bool {
	switch v.(type) {
	case int, float64:
		return true
	}
	return false
}

// shown is a value in a sentence.
func shown(v any) string {
	if text, ok := v.(string); ok {
		return fmt.Sprintf("%.200q", text)
	}
	text, err := expr.Format(v)
	if err != nil {
		text = fmt.Sprint(v)
	}
	return fmt.Sprintf("%.200s", text)
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// span is a length of time as tests have it: 1h30m, 10s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
