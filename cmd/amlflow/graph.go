package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/plan"

	"github.com/spf13/cobra"
)

func (p *program) graphVerb() *cobra.Command {
	var c choices
	var form string
	v := &cobra.Command{
		Use:   "graph FILE",
		Short: "Draw the stages and what they wait for",
		Long: `Graph draws the stages of a pipeline, with what they do and where, and what they
wait for: a solid line to a stage whose results are used, a dashed one where only
the order matters. --format mermaid is for pages that show Mermaid, dot for
Graphviz: amlflow graph FILE --format dot | dot -Tsvg`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := p.prepare(cmd, args[0], &c, engine.ToRehearse)
			if err != nil {
				return err
			}
			picture, ok := plan.Draw(made.Plan, form)
			if !ok {
				return usage(fmt.Errorf("--format %q is not a form of picture: use %s", form, strings.Join(plan.Forms(), ", ")))
			}
			_, err = io.WriteString(p.out, picture)
			return err
		},
	}
	v.Flags().StringVar(&form, "format", plan.Forms()[0], "what to draw for: "+strings.Join(plan.Forms(), ", "))
	_ = v.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(plan.Forms(), cobra.ShellCompDirectiveNoFileComp))
	c.flags(v)
	return p.prints(v)
}
