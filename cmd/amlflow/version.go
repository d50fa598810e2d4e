package main

import (
	"runtime"
	"runtime/debug"

	"github.com/amlflow/amlflow/engine/cluster"

	"github.com/spf13/cobra"
)

func (p *program) versionVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "version", Short: "Print the version of this program and of what is in it", Args: takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": version(), "build": build(), "go": runtime.Version(), "os": runtime.GOOS + "/" + runtime.GOARCH, "engine": engineVersion()}
			if p.output == "json" {
				return p.json(v)
			}
			p.print("amlflow %s (%s, %s, engine: %s)", v["version"], v["go"], v["os"], v["engine"])
			return nil
		},
	}, "json")
}

// engineVersion says which Temporal server is in this program, if any.
func engineVersion() string {
	if !cluster.Available {
		return "external only (slim build)"
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range b.Deps {
			if m.Path == "go.temporal.io/server" {
				return "temporal " + m.Version
			}
		}
	}
	return "temporal"
}
