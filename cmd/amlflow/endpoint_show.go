package main

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers/target"
)

// shownEndpoint is an endpoint as `endpoint show -o json` prints it.
type shownEndpoint struct {
	target.Endpoint
	History []target.Change `json:"history"`
}

// history is what was decided about an endpoint, where the target keeps that.
func history(ctx context.Context, s engine.Served) ([]target.Change, error) {
	r, err := s.Router()
	if err != nil {
		return []target.Change{}, nil
	}
	changes, err := r.Changes(ctx, s.Place, s.Name)
	return append([]target.Change{}, changes...), err
}

// measuredFor is the time whose requests are shown.
const measuredFor = time.Hour

// showRouting shows the versions of an endpoint, how they have answered lately, and who
// decided what.
func (p *program) showRouting(ctx context.Context, s engine.Served, changes []target.Change) {
	if len(s.Versions) > 0 {
		p.print("")
		p.showVersions(s.Endpoint)
	}
	if r, err := s.Router(); err == nil && len(s.Versions) > 0 {
		p.print("")
		rows := [][]string{p.heading("IN THE LAST HOUR", "REQUESTS", "ERRORS", "REJECTED", "P50", "P95", "P99")}
		for _, v := range s.Versions {
			f, err := r.Measured(ctx, s.Place, s.Name, v.Deployment, time.Now().Add(-measuredFor))
			if err != nil {
				continue
			}
			rows = append(rows, []string{v.Deployment, fmt.Sprint(f.Requests), fmt.Sprint(f.Errors), fmt.Sprint(f.Rejected), millis(f.P50), millis(f.P95), millis(f.P99)})
		}
		table(p.out, rows)
	}
	if len(changes) > 0 {
		p.print("")
		p.showHistory(changes)
	}
}

func millis(x float64) string { return fmt.Sprintf("%.3g ms", x) }
