package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) endpointVerb() *cobra.Command {
	return group("endpoint", "List, ask, look into, move and remove what is served",
		p.endpointLsVerb(), p.endpointShowVerb(), p.endpointInvokeVerb(), p.endpointLogsVerb(), p.endpointTrafficVerb(), p.endpointRollbackVerb(), p.endpointKeysVerb(), p.endpointRmVerb())
}

// endpoints lists what is served from this state folder. No engine is needed:
// endpoints live on their targets.
func (p *program) endpoints(ctx context.Context) ([]engine.Served, error) {
	drivers, targets, err := p.servers()
	if err != nil {
		return nil, err
	}
	return engine.Endpoints(ctx, drivers, targets)
}

func (p *program) endpoint(ctx context.Context, name string) (engine.Served, error) {
	drivers, targets, err := p.servers()
	if err != nil {
		return engine.Served{}, err
	}
	return engine.FindEndpoint(ctx, drivers, targets, name)
}

// servers are the places to look for endpoints: the targets of the workspace, and what
// is served from this state folder whatever a workspace calls its place.
func (p *program) servers() (map[string]target.Driver, []target.Target, error) {
	w, err := p.workspace()
	if err != nil {
		return nil, nil, err
	}
	targets := []target.Target{{Kind: "local"}}
	for _, t := range w.Targets {
		if t.Kind != "local" {
			targets = append(targets, target.Target{Name: t.Name, Kind: t.Kind, Settings: t.Settings})
		}
	}
	drivers := p.drivers()
	for _, kind := range slices.Sorted(maps.Keys(drivers)) {
		if kind != "local" {
			targets = append(targets, target.Target{Kind: kind})
		}
	}
	return drivers, targets, nil
}

func (p *program) endpointLsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "ls", Short: "List endpoints", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := p.endpoints(cmd.Context())
			if len(all) == 0 && err != nil {
				return err
			}
			if err != nil {
				p.say("%s %v", p.paintErr(yellow, "warning:"), err)
			}
			return p.listEndpoints(all)
		},
	}, "json", "name")
}

func (p *program) listEndpoints(all []engine.Served) error {
	if p.output == "json" {
		list := make([]target.Endpoint, len(all))
		for i, s := range all {
			list[i] = s.Endpoint
		}
		return p.json(map[string]any{"endpoints": list})
	}
	if p.output == "name" {
		for _, s := range all {
			p.print("%s", s.Name)
		}
		return nil
	}
	if len(all) == 0 {
		p.say("nothing is served; a stage with `deploy` serves a model")
		return nil
	}
	rows := [][]string{p.heading("ENDPOINT", "STATE", "TARGET", "READY", "SINCE", "URL")}
	for _, s := range all {
		rows = append(rows, []string{s.Name, state(p.colourOut, s.State), s.Target, ready(s.Instances), ago(s.Since), s.URL})
	}
	table(p.out, rows)
	return nil
}

// ready is how many instances answer, of how many.
func ready(all []target.Instance) string {
	n := 0
	for _, i := range all {
		if i.State == target.Running {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(all))
}

func (p *program) endpointShowVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "show NAME", Short: "Show an endpoint and its instances", Args: takes(1, 1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := p.endpoint(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			changes, err := history(cmd.Context(), s)
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(shownEndpoint{s.Endpoint, changes})
			}
			p.showEndpoint(s.Endpoint)
			p.showRouting(cmd.Context(), s, changes)
			return nil
		},
	}, "json")
}

func (p *program) showEndpoint(e target.Endpoint) {
	rows := [][]string{
		{"endpoint", p.paintOut(bold, e.Name)}, {"state", state(p.colourOut, e.State)}, {"url", e.URL}, {"target", e.Target},
		{"run", e.Run}, {"stage", e.Stage}, {"live", e.Live}, {"coming", e.Coming}, {"model", string(e.Model)}, {"reason", clean(e.Reason)},
	}
	if !e.Since.IsZero() {
		rows = append(rows, []string{"since", e.Since.Local().Format(time.DateTime)})
	}
	var told [][]string
	for _, r := range rows {
		if r[1] != "" {
			told = append(told, r)
		}
	}
	table(p.out, told)
	p.print("")
	rows = [][]string{p.heading("INSTANCE", "STATE", "PID", "ADDRESS", "RESTARTS", "REASON")}
	for _, i := range e.Instances {
		rows = append(rows, []string{fmt.Sprint(i.Number), state(p.colourOut, i.State), processID(i), i.Address, fmt.Sprint(i.Restarts), clean(i.Reason)})
	}
	table(p.out, rows)
}

// processID is that of an instance on this computer.
func processID(i target.Instance) string {
	if i.PID == 0 {
		return ""
	}
	return fmt.Sprint(i.PID)
}

func (p *program) endpointInvokeVerb() *cobra.Command {
	var data, path string
	var limit time.Duration
	v := &cobra.Command{
		Use: "invoke NAME --data @FILE|-|JSON", Short: "Ask an endpoint and print its answer", Args: takes(1, 1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			body, err := p.request(data)
			if err != nil {
				return err
			}
			s, err := p.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			s.Key = keyOf(ctx, s)
			answer, err := engine.Invoke(ctx, s, path, body)
			if err != nil {
				return err
			}
			_, err = p.out.Write(append(bytes.TrimRight(answer, "\n"), '\n'))
			return err
		},
	}
	v.Flags().StringVar(&data, "data", "", "the request: @FILE, - for standard input, or the JSON itself")
	v.Flags().StringVar(&path, "path", "", "path below the endpoint (default: the one that scores)")
	v.Flags().DurationVar(&limit, "timeout", time.Minute, "how long to wait for the answer")
	return p.prints(v, "json")
}

// request reads what is to be sent.
func (p *program) request(data string) ([]byte, error) {
	switch {
	case data == "":
		return nil, usage(errors.New("there is nothing to ask: give --data @FILE, --data - or --data JSON"))
	case data == "-":
		return io.ReadAll(p.in)
	case strings.HasPrefix(data, "@"):
		body, err := os.ReadFile(data[1:])
		if err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		return body, nil
	case !json.Valid([]byte(data)):
		return nil, usage(fmt.Errorf("--data %.40q is not JSON; to send a file write --data @FILE", data))
	}
	return []byte(data), nil
}

func (p *program) endpointRmVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "rm NAME…", Short: "Stop endpoints and remove them", Args: takes(1, -1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				s, err := p.endpoint(cmd.Context(), name)
				if errors.Is(err, engine.ErrNoEndpoint) {
					p.say("there is no endpoint %q, so that nothing is to be removed", name)
					continue
				}
				if err != nil {
					return err
				}
				if err := s.Server.Retire(cmd.Context(), s.Place, name); err != nil {
					return err
				}
				p.say("endpoint %s is removed", name)
			}
			return nil
		},
	})
}
