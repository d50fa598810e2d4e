package main

import (
	"io"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/plan"

	"github.com/spf13/cobra"
)

func (p *program) diffVerb() *cobra.Command {
	var c choices
	var base string
	var code bool
	v := &cobra.Command{
		Use:   "diff FILE",
		Short: "Show what a change of the files alters in the plan",
		Long: `Diff makes the plan of a pipeline as it is now and as it was in a commit, or as
another file or folder has it, and shows how the two differ: stages that are new,
gone or changed, parameters and order. -o markdown is for the page where a change
is reviewed. What the earlier files lack is new; with --exit-code it ends with 20
when anything changes.

The files of a commit are taken as they were committed. Nothing that the
repository configures is run for it: no hook, filter or remote.`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := p.difference(cmd, args[0], base, &c)
			if err != nil {
				return err
			}
			if err := p.showDifference(d); err != nil || !code || d.Empty() {
				return err
			}
			return silently(exitChanges)
		},
	}
	v.Flags().StringVar(&base, "base", "", "what to compare with: a commit of git, another pipeline file, or a folder that has a file of the same name (default HEAD)")
	v.Flags().BoolVar(&code, "exit-code", false, "end with 20 when anything changes")
	c.flags(v)
	return p.prints(v, "text", "json", "markdown")
}

// difference makes both plans. Only mistakes of the new one stand in the way.
func (p *program) difference(cmd *cobra.Command, file, base string, c *choices) (plan.Difference, error) {
	made, err := p.prepare(cmd, file, c, engine.ToLook)
	if err != nil {
		return plan.Difference{}, err
	}
	b, err := findBase(cmd.Context(), file, base)
	if err != nil {
		return plan.Difference{}, err
	}
	defer b.remove()
	o, err := c.options(p, engine.ToLook)
	if err != nil {
		return plan.Difference{}, err
	}
	before, note, err := b.plan(cmd.Context(), o)
	if err != nil {
		return plan.Difference{}, err
	}
	d := plan.Diff(before, made.Plan)
	d.Base, d.Note = b.name, note
	return d, nil
}

func (p *program) showDifference(d plan.Difference) error {
	text := ""
	switch p.output {
	case "json":
		return p.json(d)
	case "markdown":
		text = d.Markdown()
	default:
		for line := range strings.Lines(d.Text()) {
			if colour := colourOfLine(line); colour != "" {
				line = p.paintOut(colour, strings.TrimSuffix(line, "\n")) + "\n"
			}
			text += line
		}
	}
	_, err := io.WriteString(p.out, text)
	return err
}

// colourOfLine follows the sign that a line of a difference, or of a script in it,
// begins with.
func colourOfLine(line string) string {
	switch sign := strings.TrimPrefix(line, "      "); {
	case strings.HasPrefix(sign, "+"):
		return green
	case strings.HasPrefix(sign, "-"):
		return red
	case strings.HasPrefix(line, "~"):
		return yellow
	}
	return ""
}
