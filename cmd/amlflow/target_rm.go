package main

import (
	"fmt"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema"

	"github.com/spf13/cobra"
)

func (p *program) targetRmVerb() *cobra.Command {
	force := false
	v := &cobra.Command{
		Use: "rm NAME", Short: "Take a target out of amlflow.yaml", Args: takes(1, 1),
		Long: `Rm takes a target out of amlflow.yaml, and leaves all else in the file as it is. It
ends with 7, and says where, while a stage or a profile of the workspace needs it. Runs
that use it go on, since each has what it needs; what is on the target stays there.`,
		ValidArgsFunction: p.completeTargets,
		RunE: func(_ *cobra.Command, args []string) error {
			return p.removeTarget(args[0], force)
		},
	}
	v.Flags().BoolVar(&force, "force", false, "also when something needs it")
	return p.prints(v)
}

func (p *program) removeTarget(name string, force bool) error {
	w, file, err := p.workspaceFile()
	if err != nil {
		return err
	}
	if file == "" {
		return errNoWorkspace
	}
	if _, err := targetNamed(w, name); err != nil {
		return err
	}
	uses, err := p.uses(w, name)
	if err != nil {
		return err
	}
	for _, u := range uses {
		p.say("%s", use(u))
	}
	if len(uses) > 0 && !force {
		return ended{exitConflict, fmt.Errorf("target %q is needed in %s, and nothing was written: change them first, or add --force", name, count(len(uses), "place"))}
	}
	text, err := engine.ReadFile(file)
	if err != nil {
		return err
	}
	out, err := schema.RemoveTarget(text, name)
	if err != nil {
		return err
	}
	if err := rewrite(file, out); err != nil {
		return err
	}
	p.say("target %q is removed from %s", name, engine.Shorter(file))
	return nil
}
