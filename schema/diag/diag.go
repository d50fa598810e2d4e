// Package diag holds what amlflow tells people about their files: one finding,
// where it is, and what to do about it.
package diag

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file. Line and Col start at 1, and Col counts characters;
// zero means unknown.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"column"`
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Code names a class of finding for good, as kebab-case words. Never reuse one.
// Each has a page in docs/findings.
type Code string

// Severity tells a mistake from advice.
type Severity string

// An Error keeps a pipeline from running, a Warning does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing wrong with a file.
type Finding struct {
	Pos
	// Width is how many characters from Pos on are meant; 0 when unknown.
	Width    int      `json:"width,omitempty"`
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint"` // what to do; may be empty
	Path     string   `json:"path"` // JSON pointer of the value in its file
}

func (f Finding) Error() string {
	s := fmt.Sprintf("%s: %s: %s [%s]", f.Pos, f.Severity, f.Message, f.Code)
	if f.Hint != "" {
		s += "\n  " + f.Hint
	}
	return s
}

// Findings are sorted by place by Sort, and form an error by Err.
type Findings []Finding

func (fs Findings) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort orders fs by place, then code and message, and drops what says the same of
// the same place twice (an alias brings a mistake to several paths).
func (fs Findings) Sort() Findings {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Path, b.Path))
	})
	return slices.CompactFunc(fs, func(a, b Finding) bool {
		return a.Pos == b.Pos && a.Code == b.Code && a.Message == b.Message
	})
}

// Bad reports whether fs holds an Error.
func (fs Findings) Bad() bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Error })
}

// Err returns fs as an error when it holds an Error, else nil.
func (fs Findings) Err() error {
	if !fs.Bad() {
		return nil
	}
	return fs
}

// Of unpacks the findings carried by err, if any.
func Of(err error) Findings {
	var fs Findings
	errors.As(err, &fs)
	return fs
}
