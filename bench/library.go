package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/builtin"
	"github.com/amlflow/amlflow/workers/target"
)

// library is amlflow without its command line: one process that stays, and starts
// runs through package engine, on the same background server.
type library struct{ amlflow }

func (library) name() string { return "amlflow, as a library" }

func (l library) begin(ctx context.Context, w work, dir string) (trial, error) {
	if w.Before != warm || w.Shape != many && w.Stages > 1 || w.Shape == lines || w.Check {
		return nil, errNone // the start of a process is a small part of it
	}
	began, err := l.amlflow.begin(ctx, w, dir)
	if err != nil {
		return nil, err
	}
	t := &libraryTrial{amlflowTrial: began.(*amlflowTrial)}
	if err := t.open(ctx); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

type libraryTrial struct {
	*amlflowTrial
	drivers map[string]target.Driver
	engine  *engine.Engine
}

// open takes hold of the server that the command line has started. It must not be
// another build's, so this program says that it is of the same.
func (t *libraryTrial) open(ctx context.Context) (err error) {
	there, ok := server.Find(ctx, server.Seat{Home: t.home})
	if !ok {
		return errors.New("there is no background server")
	}
	t.drivers = builtin.Drivers(builtin.Options{Home: t.home})
	t.engine, err = engine.Open(ctx, engine.Options{Home: t.home, Build: there.Build, Drivers: t.drivers,
		Start: func(server.Seat) error { return errors.New("the background server has gone") }})
	return err
}

func (t *libraryTrial) once(ctx context.Context) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	var ids []string
	for range max(t.work.Runs, 1) {
		id, err := t.start(ctx)
		if err != nil {
			return s, err
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		if err := t.await(ctx, id); err != nil {
			return s, err
		}
	}
	s.seconds = time.Since(began).Seconds()
	s.server = peakOf(t.engine.Info().PID)
	return s, nil
}

// start reads the file anew, as the command line does.
func (t *libraryTrial) start(ctx context.Context) (string, error) {
	made, findings, err := engine.Prepare(ctx, filepath.Join(t.folder, pipelineFile), engine.PrepareOptions{Drivers: t.drivers, Home: t.home, Purpose: engine.ToRun})
	if err := errors.Join(err, findings.Err()); err != nil {
		return "", err
	}
	return t.engine.Start(ctx, engine.Request{Plan: made.Plan, Store: made.Store, Dir: t.folder})
}

func (t *libraryTrial) await(ctx context.Context, id string) error {
	end, err := t.engine.Watch(ctx, id, func(*flow.Progress) {})
	if err == nil && end.Status != target.Succeeded {
		err = fmt.Errorf("run %s has %s", id, end.Status)
	}
	return err
}

func (t *libraryTrial) end() {
	if t.engine != nil {
		t.engine.Close()
	}
	t.amlflowTrial.end()
}
