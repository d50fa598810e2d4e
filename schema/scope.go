package schema

import (
	"sync"

	"github.com/amlflow/amlflow/schema/expr"
)

// scopeOnce keeps the names that expressions of one pipeline may use: building
// them for each of ten thousand stages would take the square of that.
type scopeOnce struct {
	once sync.Once
	body expr.Scope // for stages and outputs
	last expr.Scope // for stages of `finally`, which also see each other
}

// Scope returns the names that expressions of a stage may use, and what is known
// of them; with nil, those of the pipeline's outputs. What Check has accepted in
// this scope compiles in it again.
func (p *Pipeline) Scope(stage *Stage) expr.Scope {
	if p.scope == nil {
		p.scope = &scopeOnce{}
	}
	p.scope.once.Do(func() {
		p.scope.body = p.names(p.Stages)
		p.scope.last = p.names(p.Stages, p.Finally)
	})
	if stage != nil && p.inFinally(stage) {
		return p.scope.last
	}
	return p.scope.body
}

func (p *Pipeline) inFinally(stage *Stage) bool {
	return len(stage.Path) > len("/finally/") && stage.Path[:len("/finally/")] == "/finally/"
}

func (p *Pipeline) names(lists ...[]Stage) expr.Scope {
	params := map[string]expr.Type{}
	for _, param := range p.Params {
		params[param.Name] = param.Type.known(expr.PlanTime)
	}
	stages := map[string]expr.Type{}
	for _, list := range lists {
		for i := range list {
			stages[list[i].Name] = p.results(&list[i])
		}
	}
	text := expr.Type{Kind: expr.Text, Moment: expr.RunTime}
	return expr.Scope{
		Names: map[string]expr.Type{
			"params": {Kind: expr.Object, Fields: params},
			"run":    {Kind: expr.Object, Fields: map[string]expr.Type{"id": text, "pipeline": text}},
			"stages": {Kind: expr.Object, Fields: stages},
		},
		Functions: []string{"always", "failed"},
	}
}

// results are what others may read of a stage. A part that could not be understood
// may be anything, so that its mistake is reported once, where it is.
func (p *Pipeline) results(s *Stage) expr.Type {
	unknown := expr.Type{Moment: expr.RunTime}
	v, _ := p.Source.Value(s.Path)
	if p.Source != nil && p.Source.root != nil && asMap(v) == nil {
		return unknown
	}
	part := func(key string, list []Declared) expr.Type {
		if v, ok := p.Source.Value(s.Path + "/" + key); ok && asMap(v) == nil {
			return unknown
		}
		fields := map[string]expr.Type{}
		for _, d := range list {
			fields[d.Name] = d.Type.known(expr.RunTime)
		}
		return expr.Type{Kind: expr.Object, Fields: fields}
	}
	return expr.Type{Kind: expr.Object, Fields: map[string]expr.Type{
		"outputs": part("outputs", s.Outputs), "metrics": part("metrics", s.Metrics), "status": {Kind: expr.Text, Moment: expr.RunTime},
	}}
}

// known is the type of an expression that reads a value of type t.
func (t Type) known(at expr.Moment) expr.Type {
	kinds := map[Type]expr.Kind{String: expr.Text, Integer: expr.Int, Number: expr.Number, Boolean: expr.Bool, List: expr.List, File: expr.File, Folder: expr.Folder, Model: expr.Model}
	return expr.Type{Kind: kinds[t], Moment: at}
}
