package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"

	"go.temporal.io/sdk/client"
)

// floor is bare Temporal: a workflow whose activities exec /bin/true, on the same
// server and tuning that amlflow embeds, with the SDK's own settings. It has no
// spec, no job folder and no logs, so it is what amlflow could be compared with and
// not a product. No command is started: its time is that of the workflow alone.
type floor struct{ local bool }

func (f floor) name() string {
	if f.local {
		return "Temporal, local activities"
	}
	return "Temporal, activities"
}

func (f floor) version(context.Context) (string, error) {
	if !cluster.Available {
		return "", cluster.ErrSlim
	}
	return "on amlflow's embedded server and its tuning, with the SDK's own settings", nil
}

// floorMost is the largest work that is asked of the floor: the history of a
// workflow ends at 51,200 events, and each activity is at least three.
const floorMost = 1_000

func (f floor) begin(ctx context.Context, w work, dir string) (trial, error) {
	if w.Check || w.Shape == lines || w.Shape == kill || w.Stages > floorMost {
		return nil, errNone
	}
	t := &floorTrial{work: w, dir: dir, input: floorInput{Stages: w.Stages, Parallel: w.Shape == fan || w.Shape == each, Local: f.local}}
	if w.Before == fresh {
		return t, nil
	}
	return t, t.start(ctx)
}

type floorTrial struct {
	work   work
	dir    string
	input  floorInput
	server *temporalProcess
	client client.Client
	homes  int
}

func (t *floorTrial) start(ctx context.Context) (err error) {
	if t.server, err = startTemporal(ctx, filepath.Join(t.dir, "temporal"+strconv.Itoa(t.homes)), true); err != nil {
		return err
	}
	if t.client, err = cluster.Dial(ctx, t.server.address, nil); err != nil {
		t.end()
	}
	return err
}

func (t *floorTrial) once(ctx context.Context) (s sample, err error) {
	if t.work.Before != warm {
		t.end()
	}
	if t.work.Before == fresh {
		t.homes++
	}
	began := time.Now()
	if t.server == nil {
		if err := t.start(ctx); err != nil {
			return s, err
		}
	}
	err = t.runs(ctx)
	s.seconds = time.Since(began).Seconds()
	s.server = peakOf(t.server.cmd.Process.Pid)
	return s, err
}

// runs starts all runs and waits for each.
func (t *floorTrial) runs(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it took more than %v", patience))
	defer cancel()
	var all []client.WorkflowRun
	for range max(t.work.Runs, 1) {
		r, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: floorQueue}, floorWorkflow, t.input)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	for _, r := range all {
		if err := r.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *floorTrial) end() {
	if t.client != nil {
		t.client.Close()
	}
	if t.server != nil {
		t.server.stop()
	}
	t.client, t.server = nil, nil
}
