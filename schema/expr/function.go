package expr

import (
	"fmt"
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// function is one entry of the list of functions: what it takes, what it gives, and how. What a function does that
// costs more than a step it pays for itself.
type function struct {
	takes    []kinds // of each argument
	required int     // how many arguments there must be
	more     bool    // the last of takes may come again and again
	gives    func(args []Type) Type
	apply    func(m *machine, args []any) (any, error)
}

// functions is the whole list. What is not here is left out on purpose: now and date because the answer would change
// from one evaluation to the next, repeat and the like because they make something large out of something small.
var functions = merged(textFunctions, numberFunctions, listFunctions, objectFunctions)

// refused names functions that expr-lang has and this language has not, with the reason.
var refused = map[string]string{
	"now": "its answer would differ from one evaluation to the next", "date": "a date depends on the machine's time zones; pass it as a param",
	"duration": "write a number of seconds", "timezone": "it depends on the machine", "repeat": "it makes something large out of something small",
	"toBase64": "do it in a stage", "fromBase64": "do it in a stage", "bitand": "do it in a stage", "type": "types are known from the declarations",
}

func merged(groups ...map[string]function) map[string]function {
	all := map[string]function{}
	for _, group := range groups {
		maps.Copy(all, group)
	}
	return all
}

// Functions lists the names of all functions, sorted.
func Functions() []string {
	names := slices.Concat(slices.Collect(maps.Keys(functions)), slices.Collect(maps.Keys(loops)))
	slices.Sort(names)
	return names
}

func always(t Type) func([]Type) Type { return func([]Type) Type { return t } }

// unknownFunction is the error for a name that is in no list.
func unknownFunction(name string, extra []string) Error {
	known := slices.Concat(extra, Functions())
	slices.Sort(known)
	e := Error{Code: CodeFunction, Message: fmt.Sprintf("no function %q", name), Hint: nearest(name, known), Name: name, Known: known}
	if reason, ok := refused[name]; ok {
		e.Message, e.Hint = fmt.Sprintf("the function %q is not available", name), reason
	}
	return e
}

func (f function) arity(name string, n int) string {
	most := len(f.takes)
	switch {
	case n < f.required && f.required == 1:
		return fmt.Sprintf("%s() needs a value between its brackets", name)
	case n < f.required:
		return fmt.Sprintf("%s() needs %d values, and here there are %d", name, f.required, n)
	case n > most && !f.more:
		return fmt.Sprintf("%s() takes at most %d values, and here there are %d", name, most, n)
	}
	return ""
}

func (f function) argument(i int) kinds { return f.takes[min(i, len(f.takes)-1)] }

// call checks a call of a function or of a loop such as filter.
func (c *checker) call(n ast.Node, name string, args []ast.Node) Type {
	if l, ok := loops[name]; ok {
		return c.loop(n, name, l, args)
	}
	f, ok := functions[name]
	if !ok {
		e := unknownFunction(name, c.scope.Functions)
		loc := n.Location()
		e.Offset, e.End = c.offset(loc.From), c.offset(loc.To)
		c.errors = append(c.errors, e)
		return Type{}
	}
	if problem := f.arity(name, len(args)); problem != "" {
		return c.fail(n, CodeSyntax, "", "%s", problem)
	}
	return f.gives(c.arguments(f, name, args))
}

func (c *checker) arguments(f function, name string, args []ast.Node) []Type {
	types := make([]Type, len(args))
	for i, arg := range args {
		types[i] = c.check(arg)
		if !f.argument(i).has(types[i].Kind) {
			c.fail(arg, CodeType, "", "%s() takes %s, and this is %s", name, f.argument(i), types[i])
			types[i] = Type{}
		}
	}
	return types
}

// call evaluates a call of a function or of a loop such as filter.
func (m *machine) call(n ast.Node, name string, args []ast.Node) (any, error) {
	if l, ok := loops[name]; ok {
		return m.loop(n, name, l, args)
	}
	f, ok := functions[name]
	if !ok {
		e := unknownFunction(name, nil)
		e.Offset, e.End = m.span(n)
		return nil, &e
	}
	if problem := f.arity(name, len(args)); problem != "" {
		return nil, m.fail(n, CodeSyntax, "", "%s", problem)
	}
	values := make([]any, len(args))
	for i, arg := range args {
		v, err := m.kind(arg, f.argument(i), "what "+name+"() takes")
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	v, err := f.apply(m, values)
	if err != nil {
		return nil, m.at(n, err)
	}
	return v, nil
}
