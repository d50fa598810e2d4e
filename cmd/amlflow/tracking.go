package main

import (
	"os"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"

	"github.com/spf13/cobra"
)

// trackingVerb is the process that answers jobs which log with the client of MLflow. It is
// given the open socket, and the lock of its port.
func (p *program) trackingVerb() *cobra.Command {
	standBy := false
	v := &cobra.Command{
		Use: "tracking DIR", Short: "Answer jobs that log, at a socket that is open", Args: takes(1, 1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return tracking.Main(ctx, tracking.Process{
				Dir: args[0], Socket: os.NewFile(3, "socket"), Lock: os.NewFile(4, "port"), StandBy: standBy, Second: p.startSecond,
				Store: func(dir string) (target.Blobs, error) { return blob.OpenFolder(dir) },
			})
		},
	}
	v.Flags().BoolVar(&standBy, "stand-by", false, "wait until the one that answers has died")
	return v
}
