package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) completionVerb(root *cobra.Command) *cobra.Command {
	shells := map[string]func() error{
		"bash":       func() error { return root.GenBashCompletionV2(p.out, true) },
		"zsh":        func() error { return root.GenZshCompletion(p.out) },
		"fish":       func() error { return root.GenFishCompletion(p.out, true) },
		"powershell": func() error { return root.GenPowerShellCompletionWithDesc(p.out) },
	}
	names := []string{"bash", "fish", "powershell", "zsh"}
	return p.prints(&cobra.Command{
		Use: "completion SHELL", Short: "Print the script that completes commands in a shell: " + join(names),
		Long: `Completion prints a script for your shell. For bash:
  source <(amlflow completion bash)`,
		Args: takes(1, 1), ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			write, ok := shells[args[0]]
			if !ok {
				return usage(fmt.Errorf("there is no completion for %q: choose %s", args[0], join(names)))
			}
			return write()
		},
	})
}
