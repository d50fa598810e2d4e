package expr

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// The codes of the errors of this package. They are stable: documentation and tools refer to them.
const (
	CodeSyntax      = "expression"              // it cannot be read, or uses what this language leaves out
	CodeType        = "expression-type"         // a value of one type where another is wanted
	CodeLimit       = "expression-limit"        // it is larger, or does more, than the bounds allow
	CodeValue       = "expression-value"        // it fails on the values of this run
	CodeMissing     = "missing-value"           // a reference has no value in this run
	CodeName        = "unknown-name"            // a name that the scope does not hold
	CodeFunction    = "unknown-function"        // a function that the language does not have
	CodeShell       = "shell-syntax"            // the script itself cannot be read
	CodeNotExpanded = "expression-not-expanded" // the shell would not put a value there
	CodeInCode      = "expression-in-code"      // the value would become part of a program
	CodeReserved    = "reserved-name"           // a name that the engine keeps for itself
)

// Error is a mistake in an expression or in a script that holds expressions. Offset and End are bytes into the
// text that was given; the owner of the file turns them into a line and a column.
type Error struct {
	Offset  int
	End     int // just after the mistake; never less than Offset
	Code    string
	Message string
	Hint    string

	// Set with CodeName and CodeFunction, so that the owner of the file can say it in the words of the pipeline.
	Parent []string // the path that was found, empty for a name at the top
	Name   string   // the name that was not
	Known  []string // the names that are there, sorted
}

// Error gives the message, and the hint when there is one.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// shifted moves an error from the expression to the text around it.
func (e Error) shifted(by int) Error {
	e.Offset += by
	e.End += by
	return e
}

// unknown reports a name that is not among known.
func unknown(code, what string, parent []string, name string, known []string) Error {
	where := ""
	if len(parent) > 0 {
		where = " in " + pathText(parent)
	}
	message := fmt.Sprintf("no %s %q%s", what, name, where)
	if len(known) > 0 {
		message += "; there is " + quotedList(known)
	}
	return Error{Code: code, Message: message, Hint: nearest(name, known), Parent: parent, Name: name, Known: known}
}

// manyNames is how many names are too many to compare each unknown one with them: the owner of the file, who has
// Known, may look at some of them.
const manyNames = 1000

func nearest(name string, known []string) string {
	if len(known) > manyNames {
		return ""
	}
	if near := diag.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// quotedList writes names for a sentence, the first few of a long list.
func quotedList(names []string) string {
	const most = 8
	var b strings.Builder
	for i, name := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}

// pathText writes a path as it would stand in an expression.
func pathText(path []string) string {
	var b strings.Builder
	for i, name := range path {
		switch {
		case !isIdentifier(name):
			fmt.Fprintf(&b, "[%q]", name)
		case i > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

func isIdentifier(name string) bool {
	for i := 0; i < len(name); i++ {
		if !isNameByte(name[i]) || i == 0 && name[i] >= '0' && name[i] <= '9' {
			return false
		}
	}
	return name != ""
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
