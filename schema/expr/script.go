package expr

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// MaxScript bounds a script in bytes, and MaxScriptDepth what may be open in it at once.
const (
	MaxScript      = 64 << 10
	MaxScriptDepth = 300
	maxChain       = 20_000 // of | and &: each command of a chain stands inside the next when it is parsed
)

// VarPrefix begins the names of the variables that carry values into a script.
const VarPrefix = "AMLFLOW_EXPR_"

// Script is a shell script in which every expression has become a variable, so that no value is ever read as code.
type Script struct {
	Text string // for sh or bash
	Vars []Var  // what must be in its environment, in the order of the script; each written by Format
}

// Var is one variable of a Script. The same expression used twice is one variable.
type Var struct {
	Name    string
	Expr    string
	Offset  int     // where Expr starts in the original script, at its first use
	Context Context // Arithmetic when any use is: the caller must then see to it that the expression is a whole number
}

// Context says where in the script a variable stands.
type Context int

// Word, Quoted and Heredoc take any value and keep it exactly. Arithmetic does not: the shell evaluates text there,
// so only a whole number is safe.
const (
	Word Context = iota
	Quoted
	Heredoc
	Arithmetic
)

// String names the context as it is said to the user.
func (c Context) String() string {
	return [...]string{"a word", "a quoted text", "a here-document", "arithmetic"}[c]
}

// EmbedShell turns each ${{ … }} of a script into a variable that the shell expands. Unquoted ones are quoted, so
// that a value is exactly one word. The script is read as bash, which takes what sh takes. Where the shell would not
// expand the variable, or would run the value as code, there is an error that says what to write instead. In a
// comment an expression stays as it is and is not evaluated. Offsets are bytes into text.
func EmbedShell(text string) (Script, []Error) {
	if len(text) > MaxScript {
		return Script{}, []Error{{Offset: MaxScript, End: len(text), Code: CodeLimit, Message: fmt.Sprintf("the script is longer than %d bytes", MaxScript),
			Hint: "put it into a file beside the pipeline and run that"}}
	}
	if at := nthChain(text, maxChain); at >= 0 {
		return Script{}, []Error{{Offset: at, End: at + 1, Code: CodeLimit, Message: fmt.Sprintf("the script has more than %d of | and &", maxChain), Hint: "put it into a file beside the pipeline and run that"}}
	}
	template, errs := Split(text)
	if e := reserved(text, template); e != nil {
		errs = append(errs, *e)
	}
	if len(errs) > 0 {
		return Script{}, errs
	}
	d := draft(template)
	uses, errs := d.place()
	if len(errs) > 0 {
		return Script{}, errs
	}
	return d.finish(uses), nil
}

// nthChain is where the n-th of | and & stands; -1 when there are fewer.
func nthChain(text string, n int) int {
	for i := range len(text) {
		if text[i] == '|' || text[i] == '&' {
			if n--; n < 0 {
				return i
			}
		}
	}
	return -1
}

// reserved finds a name of ours that the script uses itself: it would read a value that it did not ask for.
func reserved(text string, t Template) *Error {
	for _, p := range t.Parts {
		if at := strings.Index(p.Literal, VarPrefix); at >= 0 {
			at += p.Start
			end := at + len(nameRun(text[at:]))
			return &Error{Offset: at, End: end, Code: CodeReserved, Message: fmt.Sprintf("names that start with %s are kept for expressions", VarPrefix),
				Hint: "write the expression itself, or choose another name"}
		}
	}
	return nil
}

// drafted is a script in which every expression has a placeholder of its own, to find out where each one stands.
type drafted struct {
	parts []Part
	text  string
	slots []slot
}

// slot is the place of one expression, in the original script and in the draft.
type slot struct {
	part       Part
	name       string
	start, end int // in the draft
}

func draft(t Template) *drafted {
	d := &drafted{parts: t.Parts}
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Expr == "" {
			b.WriteString(p.Literal)
			continue
		}
		s := slot{part: p, name: VarPrefix + strconv.Itoa(len(d.slots)+1), start: b.Len()}
		b.WriteString("${" + s.name + "}")
		s.end = b.Len()
		d.slots = append(d.slots, s)
	}
	d.text = b.String()
	return d
}

// original turns an offset in the draft into one in the script as it was written.
func (d *drafted) original(offset int) int {
	at := sort.Search(len(d.slots), func(i int) bool { return d.slots[i].start > offset }) - 1
	if at < 0 {
		return offset
	}
	s := d.slots[at]
	if offset < s.end {
		return s.part.Start
	}
	return s.part.End + offset - s.end
}

// use is what becomes of one slot.
type use struct {
	context Context
	form    form
}

// form is how a variable is written into the script.
type form int

const (
	bare     form = iota // ${NAME}
	quoted               // "${NAME}"
	bracket              // (${NAME}), so that a negative number keeps its sign
	comments             // the expression as it was
)

// finish writes the script, one variable for each expression that is evaluated.
func (d *drafted) finish(uses []use) Script {
	var s Script
	var b strings.Builder
	index := map[string]int{}
	next := 0
	for _, p := range d.parts {
		if p.Expr == "" {
			b.WriteString(p.Literal)
			continue
		}
		u := uses[next]
		next++
		if u.form == comments {
			b.WriteString(opening + " " + strings.Join(strings.Fields(p.Expr), " ") + " " + ending)
			continue
		}
		b.WriteString(s.variable(index, p, u))
	}
	s.Text = b.String()
	return s
}

func (s *Script) variable(index map[string]int, p Part, u use) string {
	at, ok := index[p.Expr]
	if !ok {
		at = len(s.Vars)
		index[p.Expr] = at
		s.Vars = append(s.Vars, Var{Name: VarPrefix + strconv.Itoa(at+1), Expr: p.Expr, Offset: p.Offset, Context: u.context})
	}
	v := &s.Vars[at]
	if u.context == Arithmetic {
		v.Context = Arithmetic
	}
	expansion := "${" + v.Name + "}"
	switch u.form {
	case quoted:
		return `"` + expansion + `"`
	case bracket:
		return "(" + expansion + ")"
	}
	return expansion
}
