package main

import (
	"strings"

	"github.com/amlflow/amlflow/schema"

	"github.com/spf13/cobra"
)

func (p *program) schemaVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "schema [KIND]", Short: "Print the JSON Schema of a kind of file, for editors",
		Long: `Schema prints the JSON Schema (2020-12) of a kind of file: ` + join(schema.Kinds()) + `.
An editor with a YAML language server uses it when the file begins with
  # yaml-language-server: $schema=PATH`,
		Args: takes(0, 1), ValidArgs: schema.Kinds(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, k := range schema.Kinds() {
					p.print("%s", k)
				}
				return nil
			}
			text, ok := schema.JSON(args[0])
			if !ok {
				return unknown("kind of file", args[0], schema.Kinds())
			}
			_, err := p.out.Write(text)
			return err
		},
	}, "json")
}

// join lists words as in a sentence.
func join(words []string) string { return strings.Join(words, ", ") }
