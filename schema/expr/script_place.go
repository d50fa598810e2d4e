package expr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// parsers are used again: one takes more memory than most scripts.
var parsers = sync.Pool{New: func() any { return syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)) }}

// place reads the draft and says for every slot how its variable must be written, or why it cannot be.
func (d *drafted) place() ([]use, []Error) {
	if e := d.depth(); e != nil {
		return nil, []Error{*e}
	}
	parser := parsers.Get().(*syntax.Parser)
	defer parsers.Put(parser)
	file, err := parser.Parse(strings.NewReader(d.text), "")
	if err != nil {
		return nil, []Error{d.shellError(err)}
	}
	if len(d.slots) == 0 {
		return nil, nil
	}
	s := newSurvey(d)
	syntax.Walk(file, s.visit)
	return s.verdict()
}

// depth bounds what the parser of the shell is given: it is recursive, and a long row of opening brackets would
// exhaust the stack of the process. Brackets in quotes are counted too; hiding closing ones in quotes gains nothing,
// because the length of a script is bounded as well.
func (d *drafted) depth() *Error {
	open, worst := 0, 0
	for i := 0; i < len(d.text); i++ {
		switch d.text[i] {
		case '(', '{', '[':
			open++
		case ')', '}', ']':
			open = max(open-1, 0)
		}
		if open > MaxScriptDepth && worst == 0 {
			worst = i
		}
	}
	if worst == 0 {
		return nil
	}
	at := d.original(worst)
	return &Error{Offset: at, End: at + 1, Code: CodeLimit, Message: fmt.Sprintf("more than %d brackets are open at once in the script", MaxScriptDepth)}
}

var placeholder = regexp.MustCompile(`\$\{` + VarPrefix + `(\d+)\}|` + VarPrefix + `(\d+)`)

func (d *drafted) shellError(err error) Error {
	e := Error{Code: CodeShell, Message: "the shell cannot read this script"}
	var parse syntax.ParseError
	var lang syntax.LangError
	switch {
	case errors.As(err, &parse):
		e.Offset = d.original(int(parse.Pos.Offset()))
		e.Message = "the shell cannot read this: " + d.plain(parse.Text)
	case errors.As(err, &lang):
		e.Offset = d.original(int(lang.Pos.Offset()))
		e.Message = "the shell cannot read this: " + lang.Feature + " is not part of bash"
	}
	e.End = e.Offset + 1
	return e
}

var unclosedQuote = regexp.MustCompile("^reached EOF without closing quote (.*)$")

// plain puts a message of the shell parser into plain words, with the expressions as they were written.
func (d *drafted) plain(message string) string {
	if m := unclosedQuote.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("the quote %s that starts here is not closed", m[1])
	}
	message = strings.ReplaceAll(message, "reached EOF without", "the script ends without")
	return placeholder.ReplaceAllStringFunc(message, func(name string) string {
		for _, s := range d.slots {
			if strings.Trim(name, "${}") == s.name {
				return opening + " " + s.part.Expr + " " + ending
			}
		}
		return name
	})
}
