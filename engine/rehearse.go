package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/rehearsal"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// RehearseOptions say which cases of a test file are rehearsed, and how far.
type RehearseOptions struct {
	Drivers   map[string]target.Driver
	Home      string                       // the state folder
	Match     func(test, name string) bool // nil: all of them
	CheckOnly bool                         // find mistakes, and run nothing
}

// Rehearsed is a test file and what came of its cases.
type Rehearsed struct {
	File     string
	Test     *schema.Test
	Cases    []RehearsedCase
	Findings diag.Findings // mistakes in the file; then no case was rehearsed

	made *Prepared // of the last case
}

// Line is the text of a line of the files that were read, for showing findings.
func (r *Rehearsed) Line(file string, n int) string {
	if r.made == nil {
		return ""
	}
	return r.made.Line(file, n)
}

// RehearsedCase is what came of one case. It passed when no finding is an error.
type RehearsedCase struct {
	Name     string
	At       diag.Pos
	Took     time.Duration // of the run, as its own clock has it
	Wall     time.Duration // of the rehearsal, as ours has it
	Findings diag.Findings
}

// Passed reports whether all is as the case expects.
func (c RehearsedCase) Passed() bool { return !c.Findings.Bad() }

// Rehearse runs the cases of a test file: the pipeline as ever, with the results that
// the test makes up in place of its stages. It needs no engine and no target.
func Rehearse(ctx context.Context, file string, o RehearseOptions) (*Rehearsed, error) {
	text, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Rehearsed{File: file}
	r.Test, r.Findings = schema.ReadTest(file, text)
	if r.Findings.Bad() {
		return r, nil
	}
	for i := range r.Test.Cases {
		c := &r.Test.Cases[i]
		if o.Match != nil && !o.Match(r.Test.Name, c.Name) {
			continue
		}
		begun := time.Now()
		got, err := r.rehearse(ctx, c, o)
		if err != nil {
			return r, err
		}
		got.Name, got.At, got.Wall = c.Name, r.Test.Source.KeyAt(c.Path), time.Since(begun)
		r.Cases = append(r.Cases, got)
	}
	return r, nil
}

func (r *Rehearsed) rehearse(ctx context.Context, c *schema.Case, o RehearseOptions) (RehearsedCase, error) {
	params, at := r.Test.Given(c)
	profile, profileAt := r.Test.ProfileOf(c)
	file := filepath.Join(filepath.Dir(r.File), filepath.FromSlash(r.Test.Pipeline))
	made, found, err := Prepare(ctx, file, PrepareOptions{Profile: profile, Params: params, Drivers: o.Drivers, Home: o.Home, Purpose: ToRehearse})
	r.made = made
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return RehearsedCase{Findings: diag.Findings{r.noPipeline(err)}}, nil
	}
	if err != nil {
		return RehearsedCase{}, err
	}
	p := places{t: r.Test, params: at, profile: profileAt}
	switch wanted := c.Expect.Findings; {
	case len(wanted) > 0 && o.CheckOnly:
		return RehearsedCase{}, nil
	case len(wanted) > 0:
		return RehearsedCase{Findings: p.expected(c, errorsOf(found))}, nil
	case found.Bad():
		return RehearsedCase{Findings: p.moved(errorsOf(found))}, nil
	}
	opts := rehearsal.Options{Evaluate: evaluate, Artifacts: map[string]schema.Type{}}
	for _, t := range made.Workspace.Targets {
		opts.Targets = append(opts.Targets, t.Name)
	}
	for _, param := range made.Pipeline.Params {
		if param.Type.IsArtifact() {
			opts.Artifacts[param.Name] = param.Type
		}
	}
	if o.CheckOnly {
		return RehearsedCase{Findings: rehearsal.Check(r.Test, c, made.Plan, opts)}, nil
	}
	got, err := rehearsal.Run(ctx, r.Test, c, made.Plan, opts)
	return RehearsedCase{Took: got.Took, Findings: got.Findings}, err
}

func (r *Rehearsed) noPipeline(err error) diag.Finding {
	s := r.Test.Source
	message, hint, _ := strings.Cut(strings.TrimSuffix(err.Error(), ": "+fs.ErrNotExist.Error()), ": ")
	return diag.Finding{Pos: s.At("/pipeline"), Width: s.Width("/pipeline"), Path: "/pipeline", Severity: diag.Error, Code: "missing-file", Message: message, Hint: hint}
}

// errorsOf leaves out advice, which is not what a test is about.
func errorsOf(found diag.Findings) diag.Findings {
	var out diag.Findings
	for _, f := range found {
		if f.Severity == diag.Error {
			out = append(out, f)
		}
	}
	return out
}

// places are where a test says what findings of its pipeline are about.
type places struct {
	t       *schema.Test
	params  map[string]string
	profile string
}

// moved shows findings where the test says what they are about.
func (p places) moved(found diag.Findings) diag.Findings {
	out := make(diag.Findings, len(found))
	for i, f := range found {
		out[i] = p.move(f)
	}
	return out.Sort()
}

func (p places) move(f diag.Finding) diag.Finding {
	at, key := "", false
	switch f.Code {
	case "unknown-profile":
		at = p.profile
	case "unknown-param":
		at, key = p.params[p.param(f)], true
	case "param-value":
		at = p.params[p.param(f)]
		f.Hint = "give another value here"
	}
	if at == "" {
		return f
	}
	s := p.t.Source
	f.Path, f.Pos, f.Width = at, s.At(at), s.Width(at)
	if key {
		f.Pos, f.Width = s.KeyAt(at), s.KeyWidth(at)
	}
	return f
}

// param is the parameter that a finding is about.
func (p places) param(f diag.Finding) string {
	for name := range p.params {
		if f.Path == schema.Pointer("/params", name) || f.Code == "unknown-param" && strings.HasSuffix(f.Message, fmt.Sprintf(" %q", name)) {
			return name
		}
	}
	name, _ := strings.CutPrefix(f.Path, "/params/")
	return name
}

// expected holds what was found against what a case expects to be found.
func (p places) expected(c *schema.Case, found diag.Findings) diag.Findings {
	var out diag.Findings
	fail := func(path, hint, format string, args ...any) {
		s := p.t.Source
		out = append(out, diag.Finding{Pos: s.KeyAt(path), Width: s.KeyWidth(path), Path: path, Severity: diag.Error, Code: "test-failed", Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	met, unmet := make([]bool, len(found)), map[string]bool{}
	for _, want := range c.Expect.Findings {
		seen := false
		for i, f := range found {
			if p.meets(want, f) {
				met[i], seen = true, true
			}
		}
		if !seen {
			unmet[want.Code] = true
			fail(want.Path, p.instead(want.Code, found), "the finding %q was expected, and there is none like this", want.Code)
		}
	}
	for i, f := range found {
		if !met[i] && !unmet[string(f.Code)] { // else it is said what is different
			fail(c.Expect.Path+"/findings", fmt.Sprintf("add { code: %s, line: %d } if that is right", f.Code, f.Line), "this was found, and it is not expected: %s", f.Message)
		}
	}
	return out.Sort()
}

// instead says what was found in place of a code.
func (p places) instead(code string, found diag.Findings) string {
	if len(found) == 0 {
		return "nothing keeps the run from starting"
	}
	f := found[0]
	for _, other := range found {
		if string(other.Code) == code {
			f = other
			break
		}
	}
	return fmt.Sprintf("found was %s at %s: %s", f.Code, f.Pos, f.Message)
}

// meets reports whether a finding is the expected one, seen from the pipeline or from
// the test.
func (p places) meets(want schema.ExpectedFinding, f diag.Finding) bool {
	m := p.move(f)
	return want.Code == string(f.Code) &&
		(want.Line == 0 || want.Line == f.Line || want.Line == m.Line) &&
		(strings.HasSuffix(f.File, want.File) || strings.HasSuffix(m.File, want.File)) &&
		(want.Param == "" || want.Param == p.param(f)) &&
		strings.Contains(f.Message, want.Message)
}
