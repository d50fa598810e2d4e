package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

func (p *program) validateVerb() *cobra.Command {
	c := choices{reports: reports{data: true}}
	v := &cobra.Command{
		Use:   "validate FILE|FOLDER…",
		Short: "Find every mistake in files of the language, and start nothing",
		Long: `Validate reads pipelines, templates, workspaces and tests (or all of them below a
folder), and prints every mistake with its place and a cure. It needs no network
and no engine. It ends with 3 when there is an error.

With -o json it prints
  {"findings":[{"file","line","column","severity","code","message","hint",…}]}`,
		Args: takes(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := filesIn(args, isLanguage, "file of the language")
			if err != nil {
				return err
			}
			return p.validate(cmd.Context(), files, &c)
		},
	}
	c.flags(v)
	return p.prints(v, "json")
}

func (p *program) validate(ctx context.Context, files []string, c *choices) error {
	var all diag.Findings
	for _, file := range files {
		findings, err := p.check(ctx, file, c)
		if wrong := diag.Of(err); len(wrong) > 0 {
			findings, err = wrong, nil
		}
		if err != nil {
			return err
		}
		all = append(all, findings...)
	}
	all = all.Sort()
	if err := p.deliver(&c.reports, all, files, c.lines()); err != nil {
		return err
	}
	if p.output == "json" {
		if err := diag.JSON(p.out, all); err != nil {
			return err
		}
	} else {
		p.say("%s", verdict(all, len(files)))
	}
	if all.Bad() {
		return silently(exitInvalid)
	}
	return nil
}

// check finds the mistakes of one file, whichever kind it is.
func (p *program) check(ctx context.Context, file string, c *choices) (diag.Findings, error) {
	if isTest(file) {
		return p.checkTest(ctx, file, c)
	}
	if strings.HasSuffix(file, pipelineSuffix) || !isWorkspace(file) {
		o, err := c.options(p, engine.ToCheck)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(file, templateSuffix) {
			findings, lines, err := engine.CheckTemplate(ctx, file, o)
			c.seen = append(c.seen, lines)
			return findings, err
		}
		made, findings, err := engine.Prepare(ctx, file, o)
		c.seen = append(c.seen, made.Line)
		return findings, err
	}
	text, err := engine.ReadFile(file)
	if err != nil {
		return nil, err
	}
	w, findings := schema.ReadWorkspace(file, text)
	if w != nil && !findings.Bad() {
		findings = append(findings, engine.CheckTargets(w, p.drivers())...)
	}
	return findings, nil
}

// lines looks up lines of the files that were read, also of those that lie in no
// file that a person has.
func (c *choices) lines() diag.Lookup {
	files := fileLines()
	return func(file string, n int) string {
		for _, look := range c.seen {
			if look == nil {
				continue
			}
			if line := look(file, n); line != "" {
				return line
			}
		}
		return files(file, n)
	}
}

// checkTest finds the mistakes of a test file, and of its cases.
func (p *program) checkTest(ctx context.Context, file string, c *choices) (diag.Findings, error) {
	r, err := engine.Rehearse(ctx, file, engine.RehearseOptions{Drivers: p.drivers(), Home: p.home, CheckOnly: true})
	if err != nil {
		return nil, err
	}
	c.seen = append(c.seen, r.Line)
	findings := r.Findings
	for _, one := range r.Cases {
		findings = append(findings, one.Findings...)
	}
	return findings, nil
}

func verdict(all diag.Findings, files int) string {
	bad := 0
	for _, f := range all {
		if f.Severity == diag.Error {
			bad++
		}
	}
	switch {
	case bad > 0:
		return fmt.Sprintf("%s in %s", count(bad, "error"), count(files, "file"))
	case len(all) > 0:
		return fmt.Sprintf("ok: %s, with %s", count(files, "file"), count(len(all), "warning"))
	}
	return fmt.Sprintf("ok: %s", count(files, "file"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
