package plan_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// notSaid are the fields that are no part of what a stage does: where it is written.
var notSaid = []string{"At", "Places"}

// Whatever may be said of a stage, also by a field that comes later, is noticed when
// it changes.
func TestDiffNoticesEveryField(t *testing.T) {
	for path, change := range leaves(reflect.TypeFor[plan.Stage](), 3) {
		if slices.Contains(notSaid, strings.Split(path, ".")[0]) || strings.Contains(path, "Plan.Digest") || strings.Contains(path, ".At.") || strings.Contains(path, ".Places") || path == "Name" {
			continue
		}
		before, after := &plan.Plan{Stages: []plan.Stage{{Name: "s"}}}, &plan.Plan{Stages: []plan.Stage{{Name: "s"}}}
		change(reflect.ValueOf(&before.Stages[0]).Elem(), 1)
		change(reflect.ValueOf(&after.Stages[0]).Elem(), 2)
		for _, both := range [][2]*plan.Plan{{before, after}, {after, before}, {before, {Stages: []plan.Stage{{Name: "s"}}}}} {
			d := plan.Diff(both[0], both[1])
			if len(d.Changed) != 1 || len(d.Changed[0].Changes) == 0 {
				t.Errorf("Stage.%s changes unnoticed: %+v", path, d)
			}
		}
		if d := plan.Diff(after, after); !d.Empty() {
			t.Errorf("Stage.%s differs from itself: %+v", path, d)
		}
	}
}

func TestDiffNoticesEveryFieldOfThePlan(t *testing.T) {
	for path, change := range leaves(reflect.TypeFor[plan.Plan](), 1) {
		if path == "Digest" || strings.HasPrefix(path, "Stages") {
			continue
		}
		before, after := &plan.Plan{}, &plan.Plan{}
		change(reflect.ValueOf(before).Elem(), 1)
		change(reflect.ValueOf(after).Elem(), 2)
		if d := plan.Diff(before, after); len(d.Changes) == 0 {
			t.Errorf("Plan.%s changes unnoticed", path)
		}
	}
}

// leaves finds all that a value of a type can hold, down to what has no parts, and
// how to set each. Deep bounds how often a type may hold itself.
func leaves(of reflect.Type, deep int) map[string]func(v reflect.Value, n int) {
	out := map[string]func(reflect.Value, int){}
	for i := range of.NumField() {
		f := of.Field(i)
		if !f.IsExported() {
			continue
		}
		for path, set := range parts(f.Type, deep) {
			name := strings.TrimSuffix(f.Name+"."+path, ".")
			if f.Anonymous {
				name = path
			}
			out[name] = func(v reflect.Value, n int) { set(v.Field(i), n) }
		}
	}
	return out
}

func parts(t reflect.Type, deep int) map[string]func(reflect.Value, int) {
	leaf := func(set func(reflect.Value, int)) map[string]func(reflect.Value, int) {
		return map[string]func(reflect.Value, int){"": set}
	}
	inside := func(of reflect.Type, make func(v reflect.Value, set func(reflect.Value))) map[string]func(reflect.Value, int) {
		out := map[string]func(reflect.Value, int){}
		for path, set := range parts(of, deep) {
			out[path] = func(v reflect.Value, n int) { make(v, func(part reflect.Value) { set(part, n) }) }
		}
		return out
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		return leaf(func(v reflect.Value, n int) { v.SetBytes(fmt.Append(nil, n)) })
	}
	switch t.Kind() {
	case reflect.Struct:
		if t == reflect.TypeFor[plan.Plan]() {
			if deep--; deep == 0 {
				return nil
			}
		}
		return leaves(t, deep)
	case reflect.Pointer:
		return inside(t.Elem(), func(v reflect.Value, set func(reflect.Value)) {
			v.Set(reflect.New(t.Elem()))
			set(v.Elem())
		})
	case reflect.Slice:
		return inside(t.Elem(), func(v reflect.Value, set func(reflect.Value)) {
			v.Set(reflect.MakeSlice(t, 1, 1))
			set(v.Index(0))
		})
	case reflect.Map:
		return inside(t.Elem(), func(v reflect.Value, set func(reflect.Value)) {
			part := reflect.New(t.Elem()).Elem()
			set(part)
			v.Set(reflect.MakeMap(t))
			v.SetMapIndex(reflect.ValueOf("k"), part)
		})
	}
	return leaf(func(v reflect.Value, n int) { plainly(v, n) })
}

func plainly(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("v", n))
	case reflect.Bool:
		v.SetBool(n == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Interface:
		v.Set(reflect.ValueOf(n))
	default:
		panic("the test does not know " + v.Kind().String())
	}
}

// A plan does not differ from itself, all of it is new when there was none, and what
// has moved is as little as can be.
func TestDiffLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(strings.Split("a b c d e f g h", " "))
		stages := func(label string) *plan.Plan {
			p := &plan.Plan{Pipeline: "p"}
			for _, n := range rapid.SliceOfDistinct(name, rapid.ID).Draw(t, label) {
				p.Stages = append(p.Stages, plan.Stage{Name: n, Script: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "script")})
			}
			return p
		}
		a, b := stages("a"), stages("b")
		if d := plan.Diff(a, a); !d.Empty() {
			t.Fatalf("it differs from itself: %+v", d)
		}
		if d := plan.Diff(nil, a); len(d.Added) != len(a.Stages) || len(d.Removed)+len(d.Changed)+len(d.Moved)+len(d.Changes) != 0 {
			t.Fatalf("not all is new: %+v", d)
		}
		d, back := plan.Diff(a, b), plan.Diff(b, a)
		if len(d.Added) != len(back.Removed) || len(d.Removed) != len(back.Added) || len(d.Changed) != len(back.Changed) || len(d.Moved) != len(back.Moved) {
			t.Fatalf("there and back differ:\n%+v\n%+v", d, back)
		}
		if d.Empty() != (cmp.Diff(a.Stages, b.Stages, cmp.AllowUnexported(plan.Stage{})) == "") {
			t.Fatalf("%+v", d)
		}
	})
}

// changing are two plans that differ in all that is shown.
func changing() (*plan.Plan, *plan.Plan) {
	before := drawn()
	before.Params = map[string]any{"rows": 500, "kind": "a"}
	before.Stages[0].Script = "set -e\necho one\necho two\n"
	before.Stages[0].Env = []plan.Var{{Name: "A", Value: plan.Value{Known: "1"}}, {Name: "B", Value: plan.Value{Known: "b"}}}
	before.Stages[2].Inputs = []plan.Input{{Name: "data", Artifact: true, Value: plan.Value{Expr: "${{ stages.prepare.outputs.data }}"}}}
	before.Stages[2].Outputs = []plan.Output{{Name: "model", Type: "folder"}}
	before.Stages[2].Code = "tree:sha256:aa"
	after := drawn()
	after.Params = map[string]any{"rows": 1797, "more": []any{"x|y", "`z`", "<b>"}}
	after.Stages[0].Script = "set -e\necho one\necho \"```\" | tr a b\n"
	after.Stages[0].Env = []plan.Var{{Name: "B", Value: plan.Value{Expr: "${{ params.rows }}"}}, {Name: "C", Value: plan.Value{Known: "<c|d>\n*e*"}}}
	s := &after.Stages[2]
	s.Inputs = []plan.Input{{Name: "data", Value: plan.Value{Known: "x"}}}
	s.Outputs = []plan.Output{{Name: "model", Type: "file"}, {Name: "log", Type: "file"}}
	s.Code = "tree:sha256:bb"
	s.Timeout, s.Retry = 60e9, plan.Retry{Attempts: 3}
	s.Targets = []target.Target{{Name: "local", Kind: "local", Settings: json.RawMessage(`{"shell":"bash"}`)}}
	s.Needs = s.Needs[:1]
	s.Asks.Memory = 1 << 30
	after.Stages[5].If = &plan.Condition{}
	after.Stages[3].Name = "wait"
	after.Stages[6].At.Line = 7 // it has only moved in its file
	after.Stages[0], after.Stages[1] = after.Stages[1], after.Stages[0]
	return before, after
}

func TestDiffShown(t *testing.T) {
	before, after := changing()
	d := plan.Diff(before, after)
	d.Base = "HEAD"
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/diff/json.golden", string(text)+"\n")
	golden(t, "testdata/diff/text.golden", d.Text())
	golden(t, "testdata/diff/markdown.golden", d.Markdown())
	fresh := plan.Diff(nil, after)
	fresh.Note = "HEAD has no file `x`"
	golden(t, "testdata/diff/new.golden", fresh.Text()+fresh.Markdown()[:300]+"…\n")
	golden(t, "testdata/diff/nothing.golden", plan.Diff(after, after).Text()+plan.Diff(after, after).Markdown())
}

// However much changes, a page takes it.
func TestDiffIsBounded(t *testing.T) {
	before, after := &plan.Plan{}, &plan.Plan{}
	for i := range 10_000 {
		s := plan.Stage{Name: fmt.Sprintf("s%d", i), Script: "a\n" + strings.Repeat("`|<b>*\n", 20)}
		before.Stages = append(before.Stages, s)
		s.Script = strings.Replace(s.Script, "a", "b", 1)
		after.Stages = append(after.Stages, s)
	}
	after.Stages[0].Script = strings.Repeat("x\n", 5000)
	d := plan.Diff(before, after)
	if page := d.Markdown(); len(page) > 60_000 || !strings.Contains(page, "and 9900 more") || strings.Contains(page, "<b>") && !strings.Contains(page, "```") {
		t.Errorf("%d bytes", len(page))
	}
	if len(d.Changed) != 10_000 {
		t.Error(len(d.Changed))
	}
}
