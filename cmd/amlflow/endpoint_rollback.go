package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) endpointRollbackVerb() *cobra.Command {
	var to, why string
	v := &cobra.Command{
		Use: "rollback NAME", Short: "Give the requests of an endpoint back to an earlier version",
		Long: `Rollback gives all requests to the version that had them all before, or to the one
that --to names: in the middle of a canary to the version that it began with. When that is still ready it answers from the next request on. Otherwise
it is deployed again, as its run is on record, and answers once it is ready; until
then nothing changes. The version that had the requests stays ready, so that a
second rollback brings it back. A run that moves the requests meanwhile stops
doing so.`,
		Args: takes(1, 1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			s, err := p.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			id, err := p.goBack(ctx, s, to, why)
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(map[string]any{"endpoint": s.Name, "version": id})
			}
			p.say("all requests to %s go to %s now", s.Name, id)
			return nil
		},
	}
	v.Flags().StringVar(&to, "to", "", "the version, by its id or the beginning of it")
	v.Flags().StringVar(&why, "why", "", "the reason, for the endpoint's history")
	return p.prints(v, "json")
}

// goBack returns the version that has the requests then.
func (p *program) goBack(ctx context.Context, s engine.Served, to, why string) (string, error) {
	r, err := s.Router()
	if err != nil {
		return "", err
	}
	changes, err := r.Changes(ctx, s.Place, s.Name)
	if err != nil {
		return "", err
	}
	now, err := engine.Traffic(ctx, s)
	if err != nil {
		return "", err
	}
	earlier := engine.Earlier(now, changes)
	var id string
	switch {
	case to != "":
		if id, err = engine.Version(to, s.Known(changes)); err != nil {
			return "", err
		}
	case len(earlier) == 0:
		return "", fmt.Errorf("%w: endpoint %q has had no other; `%s endpoint show %s` shows its history", engine.ErrNothingThere, s.Name, invocation(), s.Name)
	default:
		id = earlier[0]
	}
	if !slices.Contains(s.Ready(), id) {
		if id, err = p.deployAgain(ctx, s, id); err != nil {
			return "", err
		}
		if s, err = p.endpoint(ctx, s.Name); err != nil {
			return "", err
		}
	}
	_, err = engine.Move(ctx, s, []target.Share{{Deployment: id, Weight: 100}}, false, byHand(or(why, "rolled back")))
	return id, err
}

// deployAgain deploys an earlier version once more.
func (p *program) deployAgain(ctx context.Context, s engine.Served, id string) (string, error) {
	p.say("%s is not ready any more; it is deployed again", id)
	w, err := p.workspace()
	if err != nil {
		return "", err
	}
	e, err := p.open(ctx, w, p.notice)
	if err != nil {
		return "", err
	}
	defer e.Close()
	return e.Again(ctx, s, id)
}
