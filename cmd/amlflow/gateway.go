package main

import (
	"os"

	"github.com/amlflow/amlflow/workers/builtin"
	"github.com/amlflow/amlflow/workers/gateway"

	"github.com/spf13/cobra"
)

// gatewayVerb is the process that answers for the endpoints of a folder.
func (p *program) gatewayVerb() *cobra.Command {
	return &cobra.Command{
		Use: "gateway DIR", Short: "Be the gateway of endpoints, in the foreground", Args: takes(1, 1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			exe, err := os.Executable() // a path, which another process is to execute
			if err != nil {
				return err
			}
			return gateway.Main(ctx, args[0], builtin.Hosts(p.drivers()), p.err, exe, "gateway", args[0])
		},
	}
}
