package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/amlflow/amlflow/engine/cluster"
)

// temporalVerb makes this program a Temporal server, until its standard input ends.
// It is a process of its own so that its memory can be told from ours, and so that
// it ends whenever this program does.
const temporalVerb = "temporal"

// serveTemporal says its address, as JSON, once it answers.
func serveTemporal(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet(temporalVerb, flag.ContinueOnError)
	dir := f.String("dir", "", "the state folder")
	work := f.Bool("work", false, "also do the work of the floor")
	if err := f.Parse(args); err != nil {
		return err
	}
	server, err := cluster.Start(ctx, cluster.Options{Dir: *dir})
	if err != nil {
		return err
	}
	defer server.Stop()
	if *work {
		stop, err := startWorker(ctx, server.Address())
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := json.NewEncoder(out).Encode(server.Address()); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	case err := <-server.Failed():
		return err
	}
	return nil
}

// temporalProcess is this program as a Temporal server.
type temporalProcess struct {
	cmd     *exec.Cmd
	hold    io.Closer // the server ends when this is closed
	address cluster.Address
}

func startTemporal(ctx context.Context, dir string, work bool) (*temporalProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &temporalProcess{cmd: exec.CommandContext(ctx, exe, temporalVerb, "-dir", dir, fmt.Sprint("-work=", work))}
	p.cmd.Stderr = os.Stderr
	if p.hold, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.address)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("a Temporal server in %q did not start: %w", dir, err)
	}
	return p, nil
}

func (p *temporalProcess) stop() {
	p.hold.Close()
	_ = p.cmd.Wait()
}
