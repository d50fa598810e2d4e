package main

import (
	"context"

	"github.com/amlflow/amlflow/engine"

	"github.com/spf13/cobra"
)

// keyFlag names a submission.
const keyFlag = "idempotency-key"

// checkKey refuses a key that was given and cannot be one. An empty one is mostly a
// variable that is not set, and would let every submission be a run of its own.
func checkKey(cmd *cobra.Command, key string) error {
	if !cmd.Flags().Changed(keyFlag) {
		return nil
	}
	if err := engine.CheckKey(key); err != nil {
		return usage(err)
	}
	return nil
}

// known returns the run that has the key already, or "".
func (p *program) known(ctx context.Context, e *engine.Engine, made *engine.Prepared, key string) (string, error) {
	if key == "" {
		return "", nil
	}
	id, err := e.Keyed(ctx, key, made.Plan)
	if id != "" && err == nil {
		p.say("run %s has this key already", id)
	}
	return id, err
}
