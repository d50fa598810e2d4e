package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/amlflow/amlflow/schema/expr"
)

// scopeOnce keeps the names that expressions of one pipeline may use: building
// them for each of ten thousand stages would take the square of that.
type scopeOnce struct {
	once sync.Once
	body expr.Scope            // for stages and outputs
	last expr.Scope            // for stages of `finally`, which also see each other
	own  map[string]expr.Scope // of stages that see more, by path
}

// Scope returns the names that expressions of a stage may use, and what is known
// of them; with nil, those of the pipeline's outputs. What Check has accepted in
// this scope compiles in it again.
func (p *Pipeline) Scope(stage *Stage) expr.Scope {
	shared := p.shared(stage)
	if stage == nil || !stage.Several() {
		return shared
	}
	if own, ok := p.scope.own[stage.Path]; ok {
		return own
	}
	own := expr.Scope{Names: maps.Clone(shared.Names), Functions: shared.Functions}
	if stage.Matrix != nil {
		own.Names["matrix"] = p.combination(stage.Matrix, shared)
	}
	if stage.Each != nil {
		own.Names["each"] = expr.Type{Kind: expr.Object, Fields: map[string]expr.Type{
			"item": p.item(stage.Each, shared), "index": {Kind: expr.Int, Moment: expr.RunTime},
		}}
	}
	if stage.Sweep != nil {
		own.Names["trial"] = stage.Sweep.trial(true)
	}
	p.scope.own[stage.Path] = own
	return own
}

// shared is the scope of all stages, or of those of `finally`, without what only
// one stage sees.
func (p *Pipeline) shared(stage *Stage) expr.Scope {
	if p.scope == nil {
		p.scope = &scopeOnce{}
	}
	p.scope.once.Do(func() {
		p.scope.own = map[string]expr.Scope{}
		p.scope.body = p.names(p.Stages)
		if p.scope.last = p.scope.body; len(p.Finally) > 0 {
			p.scope.last = p.names(p.Stages, p.Finally)
		}
	})
	if stage != nil && p.inFinally(stage) {
		return p.scope.last
	}
	return p.scope.body
}

// ScopeAround is the scope of a stage without what only that stage sees: the scope of
// what it is multiplied by.
func (p *Pipeline) ScopeAround(stage *Stage) expr.Scope { return p.shared(stage) }

// UntilScope is the scope of `until.when`: what the stage sees, and its own results.
func (p *Pipeline) UntilScope(stage *Stage) expr.Scope {
	scope := p.Scope(stage)
	own := p.results(stage, false)
	names := maps.Clone(scope.Names)
	names["outputs"], names["metrics"] = own.Fields["outputs"], own.Fields["metrics"]
	names["attempt"] = expr.Type{Kind: expr.Int, Moment: expr.RunTime}
	return expr.Scope{Names: names, Functions: scope.Functions}
}

// Later is the pipeline as it is seen when the parameters named in later are known
// only during the run, because the stage that uses it gives them results of stages.
func (p *Pipeline) Later(later map[string]bool) *Pipeline {
	if len(later) == 0 {
		return p
	}
	q := *p
	q.scope, q.later = &scopeOnce{}, later
	return &q
}

func (p *Pipeline) inFinally(stage *Stage) bool {
	return len(stage.Path) > len("/finally/") && stage.Path[:len("/finally/")] == "/finally/"
}

func (p *Pipeline) names(lists ...[]Stage) expr.Scope {
	params := map[string]expr.Type{}
	for _, param := range p.Params {
		at := expr.PlanTime
		if p.later[param.Name] || param.Type.IsArtifact() {
			at = expr.RunTime
		}
		params[param.Name] = param.Type.known(at)
	}
	text := expr.Type{Kind: expr.Text, Moment: expr.RunTime}
	scope := expr.Scope{
		Names: map[string]expr.Type{
			"params": {Kind: expr.Object, Fields: params},
			"run":    {Kind: expr.Object, Fields: map[string]expr.Type{"id": text, "pipeline": text}},
		},
		Functions: []string{"always", "failed"},
	}
	if p.alone {
		return scope
	}
	stages := map[string]expr.Type{}
	alike := map[string]expr.Type{}
	for _, list := range lists {
		for i := range list {
			stages[list[i].Name] = p.sharedResults(&list[i], alike)
		}
	}
	names := slices.Sorted(maps.Keys(stages))
	scope.Names["stages"] = expr.Type{Kind: expr.Object, Fields: stages, Names: &names}
	return scope
}

// sharedResults are the results of s. Of ten thousand stages most have the same as
// others: alike keeps those of each kind once.
func (p *Pipeline) sharedResults(s *Stage, alike map[string]expr.Type) expr.Type {
	if s.Run == "" && len(s.Command) == 0 || s.Sweep != nil || p.broken {
		return p.results(s, true)
	}
	key := strings.Builder{}
	fmt.Fprint(&key, s.Matrix != nil || s.Each != nil)
	for _, list := range [][]Declared{s.Outputs, s.Metrics} {
		key.WriteByte('|')
		for _, d := range list {
			key.WriteString(d.Name + ":" + string(d.Type) + " ")
		}
	}
	t, ok := alike[key.String()]
	if !ok {
		t = p.results(s, true)
		alike[key.String()] = t
	}
	return t
}

// results are what others may read of a stage. A part that could not be understood
// may be anything, so that its mistake is reported once, where it is. With whole,
// the results of a stage that runs over many items are lists.
func (p *Pipeline) results(s *Stage, whole bool) expr.Type {
	unknown := expr.Type{Moment: expr.RunTime}
	v, _ := p.Source.Value(s.Path)
	if p.Source != nil && p.Source.root != nil && asMap(v) == nil {
		return unknown
	}
	fields := map[string]expr.Type{"outputs": p.outputs(s), "metrics": p.declared(s, "metrics"), "status": {Kind: expr.Text, Moment: expr.RunTime}}
	if whole && (s.Matrix != nil || s.Each != nil) {
		fields["outputs"], fields["metrics"] = lists(fields["outputs"]), lists(fields["metrics"])
		item := unknown
		fields["items"] = expr.Type{Kind: expr.List, Elem: &item, Moment: expr.RunTime}
	}
	if s.Sweep != nil {
		fields["trial"] = s.Sweep.trial(false)
	}
	return expr.Type{Kind: expr.Object, Fields: fields}
}

// lists is an object whose fields have become lists.
func lists(t expr.Type) expr.Type {
	if t.Kind != expr.Object || t.Fields == nil {
		return t
	}
	fields := map[string]expr.Type{}
	for name, field := range t.Fields {
		fields[name] = expr.Type{Kind: expr.List, Elem: &field, Moment: expr.RunTime}
	}
	return expr.Type{Kind: expr.Object, Fields: fields}
}

func (p *Pipeline) outputs(s *Stage) expr.Type {
	text := expr.Type{Kind: expr.Text, Moment: expr.RunTime}
	switch {
	case s.Template != nil:
		return s.Template.alone.outputs(&s.Template.Stage)
	case s.Uses != "", s.Pipeline != "" && s.Nested == nil:
		return expr.Type{Moment: expr.RunTime} // what it names was not found
	case s.Nested != nil:
		fields := map[string]expr.Type{}
		for _, o := range s.Nested.Outputs {
			fields[o.Name] = s.Nested.typeOf(o.Text)
		}
		return expr.Type{Kind: expr.Object, Fields: fields}
	case s.Approve != nil:
		return expr.Type{Kind: expr.Object, Fields: map[string]expr.Type{"by": text, "comment": text}}
	case s.Deploy != nil:
		return expr.Type{Kind: expr.Object, Fields: map[string]expr.Type{"url": text}}
	}
	return p.declared(s, "outputs")
}

// declared are the results that a stage declares under key.
func (p *Pipeline) declared(s *Stage, key string) expr.Type {
	if s.Template != nil {
		return s.Template.alone.declared(&s.Template.Stage, key)
	}
	unknown := expr.Type{Moment: expr.RunTime}
	if v, ok := p.Source.Value(s.Path + "/" + key); ok && asMap(v) == nil || s.Uses != "" {
		return unknown
	}
	list := s.Outputs
	if key == "metrics" {
		list = s.Metrics
	}
	fields := map[string]expr.Type{}
	for _, d := range list {
		fields[d.Name] = d.Type.known(expr.RunTime)
	}
	return expr.Type{Kind: expr.Object, Fields: fields}
}

// typeOf is the type of a text of the pipeline's outputs.
func (p *Pipeline) typeOf(text string) expr.Type {
	t, errs := expr.Split(text)
	part, single := t.Single()
	if len(errs) > 0 || !single {
		return expr.Type{Kind: expr.Text, Moment: expr.RunTime}
	}
	x, errs := expr.Compile(part.Expr, p.Scope(nil), expr.Type{})
	if len(errs) > 0 {
		return expr.Type{Moment: expr.RunTime}
	}
	got := x.Type
	got.Moment = expr.RunTime
	return got
}

// combination is what ${{ matrix }} holds: of each name what its values have in common.
func (p *Pipeline) combination(m *Matrix, scope expr.Scope) expr.Type {
	fields := map[string]expr.Type{}
	for _, axis := range m.Axes {
		fields[axis.Name] = p.shape(axis.Values, axis.Text, scope, expr.PlanTime)
	}
	added := map[string][]any{}
	for _, more := range m.Include {
		for name, v := range more {
			added[name] = append(added[name], v)
		}
	}
	for name, values := range added {
		t := alike(values, expr.PlanTime, 0)
		if known, ok := fields[name]; ok && known.Kind != t.Kind {
			t = expr.Type{}
		}
		fields[name] = t
	}
	return expr.Type{Kind: expr.Object, Fields: fields}
}

func (p *Pipeline) item(e *Each, scope expr.Scope) expr.Type {
	return p.shape(e.List, e.Text, scope, expr.RunTime)
}

// shape is the type that all values of a list have, or of the items that text gives.
func (p *Pipeline) shape(values []any, text string, scope expr.Scope, at expr.Moment) expr.Type {
	if text != "" {
		t, _ := expr.Split(text)
		if part, single := t.Single(); single {
			if x, errs := expr.Compile(part.Expr, scope, expr.Type{}); len(errs) == 0 && x.Type.Kind == expr.List && x.Type.Elem != nil {
				got := *x.Type.Elem
				got.Moment = at
				return got
			}
		}
		return expr.Type{Moment: at}
	}
	return alike(values, at, 0)
}

// alike is the type that all of values have.
func alike(values []any, at expr.Moment, depth int) expr.Type {
	got := expr.Type{Moment: at}
	fields := map[string][]any{}
	for i, v := range values {
		t := typed(v, at, depth)
		switch {
		case i == 0:
			got = t
		case got.Kind == expr.Int && t.Kind == expr.Number || got.Kind == expr.Number && t.Kind == expr.Int:
			got = expr.Type{Kind: expr.Number, Moment: at}
		case got.Kind != t.Kind:
			return expr.Type{Moment: at}
		case got.Kind == expr.List:
			got.Elem = nil
		}
		for name, field := range asMap(v) {
			fields[name] = append(fields[name], field)
		}
	}
	if got.Kind == expr.Object {
		got.Fields = common(fields, len(values), at, depth)
	}
	return got
}

// common are the fields of objects. One that only some have may be anything: whoever
// reads it has to say what holds without it.
func common(fields map[string][]any, all int, at expr.Moment, depth int) map[string]expr.Type {
	types := make(map[string]expr.Type, len(fields))
	for name, values := range fields {
		if types[name] = (expr.Type{Moment: at}); len(values) == all {
			types[name] = alike(values, at, depth+1)
		}
	}
	return types
}

// typed is the type of a value that is written out. An expression may be anything.
func typed(v any, at expr.Moment, depth int) expr.Type {
	if text, ok := v.(string); ok && (isExpression(text) || text == refused) || depth > 3 {
		return expr.Type{Moment: at}
	}
	t := expr.Type{Kind: expr.KindOf(v), Moment: at}
	if list, ok := v.([]any); ok {
		elem := alike(list, at, depth+1)
		t.Elem = &elem
	}
	return t
}

// known is the type of an expression that reads a value of type t.
func (t Type) known(at expr.Moment) expr.Type {
	kinds := map[Type]expr.Kind{String: expr.Text, Integer: expr.Int, Number: expr.Number, Boolean: expr.Bool, List: expr.List, File: expr.File, Folder: expr.Folder, Model: expr.Model}
	return expr.Type{Kind: kinds[t], Moment: at}
}
