package main

import (
	"strings"

	"github.com/amlflow/amlflow/docs/findings"

	"github.com/spf13/cobra"
)

func (p *program) explainVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "explain [CODE]", Short: "Explain a finding by its code: what it means, an example, the cure", Args: takes(0, 1), ValidArgs: findings.Codes(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, code := range findings.Codes() {
					p.print("%s", code)
				}
				return nil
			}
			page, ok := findings.Page(strings.Trim(args[0], "[]"))
			if !ok {
				return unknown("finding", args[0], findings.Codes())
			}
			p.print("%s", strings.TrimSpace(page))
			return nil
		},
	})
}
