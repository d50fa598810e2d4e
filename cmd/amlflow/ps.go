package main

import (
	"encoding/json"
	"time"

	"github.com/amlflow/amlflow/engine"

	"github.com/spf13/cobra"
)

func (p *program) psVerb() *cobra.Command {
	most := 20
	v := &cobra.Command{
		Use:   "ps",
		Short: "List runs, the newest first",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := p.workspace()
			if err != nil {
				return err
			}
			e, err := p.open(cmd.Context(), w, p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			runs, err := e.List(cmd.Context(), most)
			if err != nil {
				return err
			}
			return p.list(runs)
		},
	}
	v.Flags().IntVarP(&most, "number", "n", most, "how many to list at most")
	return p.prints(v, "json", "ndjson", "name")
}

func (p *program) notice(s string) { p.say("%s", s) }

func (p *program) list(runs []engine.Summary) error {
	switch p.output {
	case "json":
		if runs == nil {
			runs = []engine.Summary{}
		}
		return p.json(map[string]any{"runs": runs})
	case "ndjson":
		for _, r := range runs {
			if err := json.NewEncoder(p.out).Encode(r); err != nil {
				return err
			}
		}
		return nil
	case "name":
		for _, r := range runs {
			p.print("%s", r.Run)
		}
		return nil
	}
	if len(runs) == 0 {
		p.say("there has been no run yet; begin with `%s run FILE`", invocation())
		return nil
	}
	rows := [][]string{p.heading("RUN", "PIPELINE", "STATUS", "STARTED", "TOOK")}
	for _, r := range runs {
		rows = append(rows, []string{r.Run, r.Pipeline, state(p.colourOut, r.Status), ago(r.Started), span(r.Started, r.Ended)})
	}
	table(p.out, rows)
	return nil
}

// ago is how long something is past.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return took(time.Since(t)) + " ago"
}
