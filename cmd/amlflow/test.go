package main

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

func (p *program) testVerb() *cobra.Command {
	r := reports{data: true}
	var only string
	v := &cobra.Command{
		Use:   "test [FILE|FOLDER…]",
		Short: "Run pipelines with made-up results, without any target or engine",
		Long: `Test reads test files (or all *.test.yaml below a folder, the current one when none
is named) and runs their cases: the pipeline as ever, with the results that the
case makes up in place of its stages. Nothing is started, and no time passes. It
ends with 10 when something is not as a case expects, and with 3 when the files
hold mistakes.

With -o json it prints
  {"tests":[{"file","test","cases":[{"name","line","status","took","findings":[…]}],"findings":[…]}],"passed","failed"}`,
		Args: takes(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			match, err := matching(only)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"."}
			}
			files, err := filesIn(args, isTest, "*"+testSuffix)
			if err != nil {
				return err
			}
			return p.test(cmd.Context(), files, match, &r)
		},
	}
	v.Flags().StringVar(&only, "run", "", "run only the cases whose TEST/CASE matches this regular expression")
	r.flags(v)
	return p.prints(v, "json")
}

func (p *program) test(ctx context.Context, files []string, match func(test, name string) bool, r *reports) error {
	var all []*engine.Rehearsed
	for _, file := range files {
		got, err := engine.Rehearse(ctx, file, engine.RehearseOptions{Drivers: p.drivers(), Home: p.home, Match: match})
		if err != nil {
			return err
		}
		if match == nil || len(got.Cases) > 0 || got.Findings.Bad() {
			all = append(all, got)
		}
	}
	if match != nil && len(all) == 0 {
		return fmt.Errorf("no case matches --run: leave it out to see their names: %w", fs.ErrNotExist)
	}
	t := tallied(all)
	r.cases = t.cases
	if err := p.deliver(r, t.findings, files, t.lines); err != nil {
		return err
	}
	if err := p.showTests(all, t); err != nil {
		return err
	}
	return silently(t.code())
}

// tally is what came of all files together.
type tally struct {
	passed, failed int
	findings       diag.Findings
	cases          []diag.Case
	lines          diag.Lookup
}

func tallied(all []*engine.Rehearsed) tally {
	t := tally{lines: linesOfAll(all)}
	for _, r := range all {
		t.findings = append(t.findings, r.Findings...)
		if r.Findings.Bad() {
			t.failed++
			t.cases = append(t.cases, diag.Case{Pos: diag.Pos{File: r.File, Line: 1, Col: 1}, Group: r.Test.Name, Name: "it can be read", Findings: r.Findings})
		}
		for _, c := range r.Cases {
			if c.Passed() {
				t.passed++
			} else {
				t.failed++
			}
			t.findings = append(t.findings, c.Findings...)
			t.cases = append(t.cases, diag.Case{Pos: c.At, Group: r.Test.Name, Name: c.Name, Took: c.Wall, Findings: c.Findings})
		}
	}
	t.findings = t.findings.Sort()
	return t
}

// linesOfAll looks up lines of the files that were read, also of those that lie in no
// file that a person has.
func linesOfAll(all []*engine.Rehearsed) diag.Lookup {
	files := fileLines()
	return func(file string, n int) string {
		for _, r := range all {
			if line := r.Line(file, n); line != "" {
				return line
			}
		}
		return files(file, n)
	}
}

// code tells mistakes in the files from expectations that failed.
func (t tally) code() int {
	code := exitOK
	for _, f := range t.findings {
		switch {
		case f.Severity != diag.Error:
		case f.Code != "test-failed":
			return exitInvalid
		default:
			code = exitFailed
		}
	}
	return code
}

func (p *program) showTests(all []*engine.Rehearsed, t tally) error {
	if p.output == "json" {
		return p.json(testsJSON(all, t))
	}
	for _, r := range all {
		p.print("%s", r.File)
		var rows [][]string
		if r.Findings.Bad() {
			rows = append(rows, []string{"  " + p.paintOut(red, "FAILED"), "it cannot be read"})
		}
		for _, c := range r.Cases {
			verdict, long := p.paintOut(red, "FAILED"), ""
			if c.Passed() {
				verdict = p.paintOut(green, "ok")
			}
			if c.Took > 0 {
				long = p.paintOut(dim, took(c.Took)+" simulated")
			}
			rows = append(rows, []string{"  " + verdict, clean(c.Name), long})
		}
		table(p.out, rows)
	}
	p.say("%d passed, %d failed", t.passed, t.failed)
	return nil
}

type (
	testJSON struct {
		File     string        `json:"file"`
		Test     string        `json:"test"`
		Cases    []caseJSON    `json:"cases"`
		Findings diag.Findings `json:"findings"`
	}
	caseJSON struct {
		Name     string        `json:"name"`
		Line     int           `json:"line"`
		Status   string        `json:"status"`
		Took     string        `json:"took"`
		Findings diag.Findings `json:"findings"`
	}
)

func testsJSON(all []*engine.Rehearsed, t tally) any {
	tests := []testJSON{}
	for _, r := range all {
		one := testJSON{File: r.File, Test: r.Test.Name, Cases: []caseJSON{}, Findings: append(diag.Findings{}, r.Findings...)}
		for _, c := range r.Cases {
			status := "failed"
			if c.Passed() {
				status = "passed"
			}
			one.Cases = append(one.Cases, caseJSON{c.Name, c.At.Line, status, c.Took.Round(time.Millisecond).String(), append(diag.Findings{}, c.Findings...)})
		}
		tests = append(tests, one)
	}
	return map[string]any{"tests": tests, "passed": t.passed, "failed": t.failed}
}

// matching is what --run chooses; nil chooses everything.
func matching(pattern string) (func(test, name string) bool, error) {
	if pattern == "" {
		return nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, usage(fmt.Errorf("--run %q is not a regular expression: %v", pattern, err))
	}
	return func(test, name string) bool { return re.MatchString(test + "/" + name) }, nil
}
