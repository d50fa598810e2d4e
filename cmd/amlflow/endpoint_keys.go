package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) endpointKeysVerb() *cobra.Command {
	var rotate int
	v := &cobra.Command{
		Use: "keys NAME", Short: "Show the two keys of an endpoint, or replace one",
		Long: `Keys prints the two keys that an endpoint with ` + "`auth: key`" + ` accepts; clients send one
as "Authorization: Bearer KEY". --rotate replaces one of them while the other goes on to
be accepted, so that clients can move from one to the other.`,
		Args: takes(1, 1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("rotate") && rotate != 1 && rotate != 2 {
				return usage(fmt.Errorf("there are the keys 1 and 2, and no %d", rotate))
			}
			s, err := p.endpoint(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := s.Router()
			if err != nil {
				return err
			}
			keys, err := r.Keys(cmd.Context(), s.Place, s.Name, rotate)
			if errors.Is(err, target.ErrPermanent) {
				return ended{exitConflict, err} // it asks for none
			}
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(map[string]any{"endpoint": s.Name, "keys": keys})
			}
			for _, k := range keys {
				p.print("%s", k)
			}
			return nil
		},
	}
	v.Flags().IntVar(&rotate, "rotate", 0, "the key to replace, 1 or 2")
	return p.prints(v, "json")
}

// keyOf is a key of an endpoint that asks for one.
func keyOf(ctx context.Context, s engine.Served) string {
	r, err := s.Router()
	if err != nil {
		return ""
	}
	keys, err := r.Keys(ctx, s.Place, s.Name, 0)
	if err != nil {
		return "" // it asks for none
	}
	return keys[0]
}
