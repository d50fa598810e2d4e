// Command amlflow carries a model through its life as one YAML file says:
// experiment here, train elsewhere, serve the result. This package puts the
// parts together; each verb is a file of its own.
package main

import (
	"io"
	"os"

	_ "github.com/amlflow/amlflow/cmd/amlflow/startup" // first of all
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run carries out one command line and returns its exit code.
func run(args []string, in io.Reader, out, err io.Writer) int {
	p := newProgram(in, out, err)
	root := p.root()
	root.SetArgs(args)
	return p.exit(root.Execute())
}
