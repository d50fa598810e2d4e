// Package expr is the language of ${{ … }}: it finds, type-checks and evaluates expressions within fixed bounds.
//
// The grammar is that of expr-lang (https://expr-lang.org/docs/language-definition); only its parser is used. Checking
// and evaluating walk the tree here, because the expr-lang machine cannot be stopped: it has no step limit and ignores
// deadlines, its maps come in random order, and a list shared by `let` costs nothing to build and forever to print.
//
// Everything in this package is a pure function of its arguments: no clock, no file, no random order. The same
// expression over the same values gives the same answer, or the same error, every time and on every machine.
package expr

// The bounds. Together they keep any expression, however hostile, under half a second and a few tens of megabytes.
const (
	MaxSource = 4 << 10  // bytes in one expression
	MaxDepth  = 64       // brackets open at once
	MaxNodes  = 500      // nodes in the syntax tree
	MaxSteps  = 50_000   // steps of one evaluation; large values cost more than one
	MaxText   = 64 << 10 // bytes in one text made by an expression
	MaxList   = 10_000   // items in one list made by an expression
	MaxExact  = 1 << 53  // whole numbers beyond ± this cannot be kept exactly in JSON

	maxPattern  = 200 // bytes in the pattern of `matches`
	maxMatched  = 4 << 10
	maxCompiled = 1000 // instructions in a compiled pattern
	stepBytes   = 256  // bytes of text that cost one step to read or write
)

// Moment says when a value is known.
type Moment int

// A plan can use what is known at PlanTime; what is known at RunTime exists only once the run has started.
const (
	PlanTime Moment = iota
	RunTime
)

// Ref is one reference to a name of the scope, as it stands in the source.
type Ref struct {
	Path      []string // for example ["stages", "train", "metrics", "accuracy"]
	Offset    int      // byte offset of the first name in the source
	End       int      // byte offset just after the last name
	Moment    Moment   // when the value is known
	Defaulted bool     // the expression copes with its absence: `??`, `?.`, or a comparison with nil
}

// Compiled is an expression that has been checked against a scope.
type Compiled struct {
	Source string
	Type   Type     // the type of the result, as far as it can be told before there are values
	Moment Moment   // RunTime when any reference or function is known only then
	Refs   []Ref    // in source order; the longest path of each reference
	Calls  []string // the scope's functions that are called, each once, in source order: "always", "failed"
}

// Compile checks src against the names of scope and reports every mistake found; want is the type that the place
// of the expression asks for (the zero Type takes anything). Offsets in the errors are bytes into src.
func Compile(src string, scope Scope, want Type) (*Compiled, []Error) {
	tree, err := parse(src)
	if err != nil {
		return nil, []Error{*err}
	}
	c := newChecker(tree, scope)
	result := c.check(tree.root)
	c.result(tree.root, result, want)
	if len(c.errors) > 0 {
		return nil, c.sorted()
	}
	return &Compiled{Source: src, Type: result, Moment: c.moment, Refs: c.refs, Calls: c.calls}, nil
}

// Eval computes src over values, whose shape is that of decoded JSON: map[string]any, []any, string, float64, int,
// bool and nil. Whole numbers may come as int or as float64; it makes no difference to the answer.
//
// A function of the scope finds its answer under its name and brackets, as in values["failed()"]; always() is true.
// The result has the same shape as values, is a fresh copy that shares nothing with them, and holds no Inf or NaN.
// The error is an *Error whose Offset is a byte offset into src. A reference that values do not hold is an error
// with code "missing-value", unless the expression gives a default with `??`.
func Eval(src string, values map[string]any) (any, error) {
	tree, err := parse(src)
	if err != nil {
		return nil, err
	}
	m := newMachine(tree, values)
	v, failure := m.value(tree.root)
	if failure != nil {
		return nil, failure
	}
	out, failure := m.result(v)
	if failure != nil {
		return nil, m.at(tree.root, failure)
	}
	return out, nil
}
