package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) endpointLogsVerb() *cobra.Command {
	var version string
	var instance int
	var follow bool
	v := &cobra.Command{
		Use: "logs NAME", Short: "Print what the instances of an endpoint print",
		Long: `Logs prints what the instances of an endpoint print. When several versions answer,
or one gets copies of the requests, each line says whose it is. With --version it is
one version, by its id or the beginning of it, such as the run that has deployed it:
also one that gets no requests, starts just now, or was stopped.`,
		Args: takes(1, 1), ValidArgsFunction: p.completeEndpoints,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			s, err := p.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			sources, err := logsOf(ctx, s, version, instance)
			if err == nil {
				err = p.endpointLogs(ctx, s, sources, follow)
			}
			if interrupted(ctx, err) {
				return silently(exitInterrupted)
			}
			return err
		},
	}
	v.Flags().StringVar(&version, "version", "", "only this version, by its id or the beginning of it")
	v.Flags().IntVar(&instance, "instance", -1, "only this instance, by its number")
	v.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	return p.prints(v)
}

// source is one log of an endpoint. Without a version it is that of the one that answers,
// whichever that is at the time.
type source struct {
	version  string
	instance int
	offset   int64
	lines    *lines
}

// logsOf are the logs that a person means.
func logsOf(ctx context.Context, s engine.Served, version string, only int) ([]*source, error) {
	var all []*source
	add := func(version string, instances []target.Instance) {
		for _, i := range instances {
			if only < 0 || only == i.Number {
				all = append(all, &source{version: version, instance: i.Number})
			}
		}
	}
	if version != "" {
		id, err := logged(ctx, s, version)
		if err != nil {
			return nil, err
		}
		if all, err = logsOfVersion(ctx, s, id, only); err != nil {
			return nil, err
		}
	} else if asked := askedOf(s); len(asked) > 1 {
		for _, v := range asked {
			add(v.Deployment, v.Instances)
		}
	} else {
		add("", s.Instances)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case only < 0:
		return nil, ended{exitNotFound, fmt.Errorf("endpoint %q has no instance now; `%s endpoint logs %s --version VERSION` prints what those of a version have printed", s.Name, invocation(), s.Name)}
	}
	return nil, ended{exitNotFound, fmt.Errorf("endpoint %q has no instance %d; `%s endpoint show %s` lists them", s.Name, only, invocation(), s.Name)}
}

// askedOf are the versions that get requests, or copies of them.
func askedOf(s engine.Served) (asked []target.Version) {
	for _, v := range s.Versions {
		if v.Weight > 0 || v.Mirror {
			asked = append(asked, v)
		}
	}
	return asked
}

// logged finds the version that a person means, among those that there are and were.
func logged(ctx context.Context, s engine.Served, version string) (string, error) {
	changes, err := history(ctx, s)
	if err != nil {
		return "", err
	}
	return engine.Version(version, s.Known(changes))
}

// logsOfVersion are the logs of one version. One that was stopped has no instances any
// more, and its logs are there as long as the target remembers it.
func logsOfVersion(ctx context.Context, s engine.Served, id string, only int) (all []*source, err error) {
	first := max(only, 0)
	for n := first; n == first || only < 0; n++ {
		_, err := s.Server.ReadEndpoint(ctx, s.Place, s.Name, id, n, 0, io.Discard)
		switch {
		case errors.Is(err, target.ErrPermanent) && n > first:
			return all, nil
		case errors.Is(err, target.ErrPermanent):
			return nil, ended{exitNotFound, err}
		case err != nil:
			return nil, err
		}
		all = append(all, &source{version: id, instance: n})
	}
	return all, nil
}

func (p *program) endpointLogs(ctx context.Context, s engine.Served, sources []*source, follow bool) error {
	apart := slices.ContainsFunc(sources, func(o *source) bool { return o.version != sources[0].version })
	for _, o := range sources {
		o.lines = newLines(p.out, -1)
		whose := fmt.Sprint(o.instance)
		if apart {
			whose = o.version + " " + whose
		}
		if len(sources) > 1 {
			o.lines.prefix = fmt.Sprintf("%s %s ", whose, p.paintOut(dim, "|"))
		}
	}
	for {
		for _, o := range sources {
			var err error
			if o.offset, err = s.Server.ReadEndpoint(ctx, s.Place, s.Name, o.version, o.instance, o.offset, o.lines); err != nil {
				return err
			}
			if err := o.lines.flush(!follow); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
