package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// The bounds of looking for conditions that never hold.
const (
	maxTogether  = 8      // conditions at once
	maxDomain    = 500    // values that the parameters in them may have together
	maxAnswers   = 20_000 // expressions evaluated for one file
	maxFollowers = 3      // stages named that do not run either
)

// reason is a condition that is decided before the run, and whose it is.
type reason struct {
	stage *Stage
	src   string // of the expression; "false" when that is what the file says
}

// never looks for stages that can never run: their condition, together with those
// of the stages whose results they cannot do without, holds for no value that the
// parameters may have.
type never struct {
	*checker
	byName  map[string]*Stage
	reasons map[*Stage][]reason
	open    map[*Stage]bool
	known   map[string]bool // whether conditions, joined, can hold together
	tries   int
}

// neverRun advises about each stage that cannot run, and names those that follow.
func (c *checker) neverRun() {
	n := &never{checker: c, byName: map[string]*Stage{}, reasons: map[*Stage][]reason{}, open: map[*Stage]bool{}, known: map[string]bool{}}
	conditional := false
	for _, s := range c.stages() {
		n.byName[s.Name] = s
		conditional = conditional || s.If != ""
	}
	if !conditional {
		return
	}
	dead := map[*Stage]bool{}
	for _, s := range c.stages() {
		dead[s] = !n.possible(n.of(s))
	}
	for _, s := range c.stages() {
		if dead[s] && !n.follows(s, dead) {
			n.say(s, dead)
		}
	}
}

// of gathers the conditions that must hold for s to run.
func (n *never) of(s *Stage) []reason {
	if list, done := n.reasons[s]; done || n.open[s] {
		return list
	}
	n.open[s] = true
	var list []reason
	if own, ok := n.own(s); ok {
		list = append(list, own)
	}
	for _, e := range n.edges[s.Name] {
		if other := n.byName[e.to]; e.data && other != nil {
			for _, r := range n.of(other) {
				if len(list) < maxTogether && !slices.Contains(list, r) && r.stage.Matrix == nil {
					list = append(list, r)
				}
			}
		}
	}
	n.reasons[s] = list
	return list
}

// own is the condition of s, when it is decided before the run.
func (n *never) own(s *Stage) (reason, bool) {
	if s.If == "false" {
		return reason{s, "false"}, true
	}
	t, errs := expr.Split(s.If)
	part, single := t.Single()
	if len(errs) > 0 || !single {
		return reason{}, false
	}
	x, errs := expr.Compile(part.Expr, n.p.Scope(s), expr.Type{})
	if len(errs) > 0 || len(x.Calls) > 0 || x.Moment == expr.RunTime {
		return reason{}, false
	}
	return reason{s, part.Expr}, true
}

// possible reports whether conditions can hold together, as far as that is known.
func (n *never) possible(list []reason) bool {
	if len(list) == 0 {
		return true
	}
	key := ""
	for _, r := range list {
		key += r.src + "\x00"
		if r.stage.Matrix != nil {
			key += r.stage.Path
		}
	}
	answer, done := n.known[key]
	if !done {
		answer = n.tried(list)
		n.known[key] = answer
	}
	return answer
}

// tried evaluates conditions over all values that their parameters may have.
func (n *never) tried(list []reason) bool {
	values, ok := n.domain(list)
	if !ok {
		return true
	}
	for _, v := range values {
		hold := true
		for _, r := range list {
			if n.tries++; n.tries > maxAnswers {
				return true
			}
			answer, err := expr.Eval(r.src, v)
			hold = hold && (err != nil || answer != false)
		}
		if hold {
			return true
		}
	}
	return false
}

// domain is every choice of values for what the conditions read. It is false when
// there are too many to try.
func (n *never) domain(list []reason) ([]map[string]any, bool) {
	params := map[string][]any{}
	choices := []map[string]any{{"params": map[string]any{}}}
	for _, r := range list {
		x, errs := expr.Compile(r.src, n.p.Scope(r.stage), expr.Type{})
		if len(errs) > 0 {
			return nil, false
		}
		for _, ref := range x.Refs {
			switch {
			case ref.Path[0] == "params" && len(ref.Path) > 1:
				if params[ref.Path[1]] = n.valuesOf(ref.Path[1]); params[ref.Path[1]] == nil {
					return nil, false
				}
			case ref.Path[0] == "matrix" && r.stage.Matrix != nil:
				if r.stage.Matrix.size() > maxDomain {
					return nil, false
				}
				combinations, certain := r.stage.Matrix.known()
				if !certain || len(combinations) > maxDomain {
					return nil, false
				}
				choices = spreadOver(choices[:1], "matrix", combinations)
			default:
				return nil, false
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if choices = withParam(choices, name, params[name]); len(choices) > maxDomain {
			return nil, false
		}
	}
	return choices, true
}

// valuesOf are all values that a parameter may have; nil when they are too many.
func (n *never) valuesOf(name string) []any {
	i := slices.IndexFunc(n.p.Params, func(p Param) bool { return p.Name == name })
	switch {
	case i < 0 || n.p.Params[i].Type == List:
		return nil
	case n.p.Params[i].Type == Boolean:
		return []any{true, false}
	}
	return n.p.Params[i].Enum
}

func spreadOver(choices []map[string]any, name string, values []map[string]any) []map[string]any {
	var all []map[string]any
	for _, choice := range choices {
		for _, v := range values {
			all = append(all, map[string]any{"params": choice["params"], name: v})
		}
	}
	return all
}

func withParam(choices []map[string]any, name string, values []any) []map[string]any {
	var all []map[string]any
	for _, choice := range choices {
		for _, v := range values {
			params := map[string]any{name: v}
			for other, value := range asMap(choice["params"]) {
				params[other] = value
			}
			one := map[string]any{"params": params}
			if m, ok := choice["matrix"]; ok {
				one["matrix"] = m
			}
			all = append(all, one)
		}
		if len(all) > maxDomain {
			return all
		}
	}
	return all
}

// follows reports whether s cannot run only because a stage that it reads cannot.
func (n *never) follows(s *Stage, dead map[*Stage]bool) bool {
	if own, ok := n.own(s); ok && !n.possible([]reason{own}) {
		return false
	}
	return slices.ContainsFunc(n.edges[s.Name], func(e edge) bool { return e.data && dead[n.byName[e.to]] })
}

func (n *never) say(s *Stage, dead map[*Stage]bool) {
	message := fmt.Sprintf("stage %q never runs: its condition never holds", s.Name)
	own, isOwn := n.own(s)
	if !isOwn || n.possible([]reason{own}) {
		var others []string
		for _, r := range n.reasons[s] {
			if r.stage != s {
				others = append(others, fmt.Sprintf("%q", r.stage.Name))
			}
		}
		message = fmt.Sprintf("stage %q never runs: its condition never holds together with that of stage %s, whose results it reads", s.Name, listed(others, "and"))
	}
	if followers := n.followers(s, dead); followers != "" {
		message += followers
	}
	at := s.Path + "/if"
	if !isOwn {
		c := n.checker
		c.advise("never-runs", s.Path, n.cure(n.reasons[s]), "%s", message)
		return
	}
	n.adviseValue("never-runs", at, n.cure(n.reasons[s]), "%s", message)
}

// followers names the stages that read results of s, and so do not run either.
func (n *never) followers(s *Stage, dead map[*Stage]bool) string {
	var names []string
	for _, other := range n.all {
		if dead[other] && other != s && slices.ContainsFunc(n.edges[other.Name], func(e edge) bool { return e.data && e.to == s.Name }) {
			if names = append(names, fmt.Sprintf("%q", other.Name)); len(names) == maxFollowers {
				break
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s cannot run without its results", listed(names, "and"))
}

// cure says what the parameters in the conditions may be.
func (n *never) cure(list []reason) string {
	var said []string
	for _, p := range n.p.Params {
		for _, r := range list {
			if word := "params." + p.Name; strings.Contains(r.src, word) && len(p.Enum) > 0 && !slices.ContainsFunc(said, func(text string) bool { return strings.HasPrefix(text, word+" ") }) {
				said = append(said, fmt.Sprintf("%s is one of %s", word, choices(p.Enum)))
			}
		}
	}
	if len(said) == 0 {
		return "correct the condition, or remove the stage"
	}
	return "correct the condition: " + strings.Join(said, "; ")
}
