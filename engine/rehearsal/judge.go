package rehearsal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// judge gathers what is wrong with a case: with what it says, or with what came of it.
type judge struct {
	t        *schema.Test
	c        *schema.Case
	findings diag.Findings
}

// value reports the value at path of the test.
func (j *judge) value(code diag.Code, path, hint, format string, args ...any) {
	s := j.t.Source
	j.add(diag.Finding{Pos: s.At(path), Width: s.Width(path), Path: path, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// key reports the key that path ends with.
func (j *judge) key(code diag.Code, path, hint, format string, args ...any) {
	s := j.t.Source
	j.add(diag.Finding{Pos: s.KeyAt(path), Width: s.KeyWidth(path), Path: path, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// stages reports what the case should say of a stage, where it says that of others.
// The hint is given the stage's name.
func (j *judge) stages(code diag.Code, hint, stage, format string, args ...any) {
	path := j.c.Path + "/stages"
	if _, said := j.t.Source.Value(path); !said {
		path = j.c.Path
		hint = "add a line `stages:` to the case, and below it " + strings.TrimPrefix(hint, "add ")
	}
	for _, m := range j.t.Mocks(j.c) {
		if m.Stage == stage {
			path = m.Path
		}
	}
	j.key(code, path, fmt.Sprintf(hint, stage), format, args...)
}

func (j *judge) add(f diag.Finding) {
	f.Severity = diag.Error
	j.findings = append(j.findings, f)
}

// meant is the cure for a name that is not known.
func meant(name string, known []string, what string) string {
	if n := diag.Nearest(name, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(known) == 0 {
		return "there are no " + what
	}
	known = slices.Clone(known)
	slices.Sort(known)
	const most = 8
	if len(known) > most {
		known = append(known[:most], "…")
	}
	return fmt.Sprintf("the %s are: %s", what, strings.Join(known, ", "))
}
