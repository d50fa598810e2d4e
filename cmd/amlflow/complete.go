package main

import (
	"context"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/server"

	"github.com/spf13/cobra"
)

// running opens the engine only when it is there already: pressing TAB must not
// start a server.
func (p *program) running(ctx context.Context) (*engine.Engine, bool) {
	if p.settle() != nil {
		return nil, false
	}
	w, err := p.workspace()
	if err != nil {
		return nil, false
	}
	seat, err := p.seat(w)
	if err != nil {
		return nil, false
	}
	if _, ok := server.Find(ctx, seat); !ok {
		return nil, false
	}
	e, err := p.open(ctx, w, nil)
	return e, err == nil
}

// completeRuns offers the ids of the newest runs.
func (p *program) completeRuns(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	e, ok := p.running(ctx)
	if !ok {
		return []string{lastRun}, cobra.ShellCompDirectiveNoFileComp
	}
	defer e.Close()
	out := []string{lastRun}
	runs, _ := e.List(ctx, 20)
	for _, r := range runs {
		out = append(out, r.Run+"\t"+r.Pipeline+" "+string(r.Status))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeStages offers runs first, then the stages of the run that was chosen.
func (p *program) completeStages(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return p.completeRuns(cmd, args, text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	e, ok := p.running(ctx)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer e.Close()
	id, err := e.Find(ctx, args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	r, err := e.Progress(ctx, id)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range r.Stages {
		names = append(names, s.Name+"\t"+string(s.Status))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeEndpoints offers what is served.
func (p *program) completeEndpoints(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || p.settle() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, _ := p.endpoints(context.Background())
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
