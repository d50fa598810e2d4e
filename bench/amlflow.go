package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// amlflow is the program itself, with its embedded engine or one elsewhere.
type amlflow struct {
	exe      string
	external bool
}

func (a amlflow) name() string {
	if a.external {
		return "amlflow, external Temporal"
	}
	return "amlflow"
}

func (a amlflow) version(ctx context.Context) (string, error) {
	exe, err := exec.LookPath(a.exe)
	if err != nil {
		return "", fmt.Errorf("no amlflow at %q: build it (task build), or name it with --amlflow: %w", a.exe, err)
	}
	text, err := command{args: []string{exe, "version"}}.plain(ctx)
	return strings.TrimPrefix(strings.TrimSpace(text), "amlflow "), err
}

// pipelineFile is the name of what a trial runs.
const pipelineFile = "work.pipeline.yaml"

func (a amlflow) begin(ctx context.Context, w work, dir string) (trial, error) {
	if a.external && (w.Before != warm || w.Check || w.Shape == lines || w.Shape == kill || w.Stages > 1_000) {
		return nil, errNone // where Temporal is makes no difference, or the same one as elsewhere
	}
	exe, err := filepath.Abs(a.exe)
	if err != nil {
		return nil, err
	}
	t := &amlflowTrial{exe: exe, work: w, dir: dir, home: filepath.Join(dir, "state")}
	// Code is taken from the folder of the file, so it is alone in there.
	t.folder = filepath.Join(dir, "work")
	if err := writeFiles(t.folder, map[string]string{pipelineFile: w.pipeline(dir)}); err != nil {
		return nil, err
	}
	if a.external {
		if err := t.elsewhere(ctx); err != nil {
			return nil, err
		}
	}
	if w.Check || w.Before == fresh {
		return t, nil
	}
	if _, err := t.command("server", "start").plain(ctx); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// amlflowTrial has a state folder of its own, and so a background server.
type amlflowTrial struct {
	exe, dir, folder, home string
	work                   work
	env                    []string
	temporal               *temporalProcess // one elsewhere, or nil
	homes                  int
}

// elsewhere starts a Temporal that is not amlflow's own, and tells amlflow of it.
func (t *amlflowTrial) elsewhere(ctx context.Context) error {
	server, err := startTemporal(ctx, filepath.Join(t.dir, "temporal"), false)
	if err != nil {
		return err
	}
	t.temporal = server
	at := server.address
	keys := filepath.Join(t.dir, "keys")
	if err := writeFiles(keys, map[string]string{"ca.pem": at.TLS.CA, "cert.pem": at.TLS.Cert, "key.pem": at.TLS.Key}); err != nil {
		t.end()
		return err
	}
	t.env = []string{"AMLFLOW_ADDRESS=" + at.HostPort, "AMLFLOW_NAMESPACE=" + at.Namespace, "AMLFLOW_TLS_SERVER_NAME=" + at.TLS.ServerName,
		"AMLFLOW_TLS_CA=" + filepath.Join(keys, "ca.pem"), "AMLFLOW_TLS_CERT=" + filepath.Join(keys, "cert.pem"), "AMLFLOW_TLS_KEY=" + filepath.Join(keys, "key.pem")}
	return nil
}

func (t *amlflowTrial) command(args ...string) command {
	return command{dir: t.dir, args: append([]string{t.exe}, args...), env: append(t.env, "AMLFLOW_HOME="+t.home, "AMLFLOW_IDLE=1h")}
}

func (t *amlflowTrial) once(ctx context.Context) (sample, error) {
	if err := t.ready(ctx); err != nil {
		return sample{}, err
	}
	s, err := t.measured(ctx)
	if err != nil {
		return s, err
	}
	if pid := t.server(ctx); pid > 0 {
		s.server = peakOf(pid)
	}
	return s, t.right(ctx)
}

// ready brings about what is to be there before the work.
func (t *amlflowTrial) ready(ctx context.Context) error {
	if t.work.Before == warm {
		return nil
	}
	if _, err := t.command("server", "stop").plain(ctx); err != nil {
		return err
	}
	if t.work.Before == fresh {
		t.homes++
		t.home = filepath.Join(t.dir, "state"+strconv.Itoa(t.homes))
	}
	return nil
}

func (t *amlflowTrial) measured(ctx context.Context) (sample, error) {
	file := filepath.Join(t.folder, pipelineFile)
	switch {
	case t.work.Check:
		return t.command("validate", file).measured(ctx)
	case t.work.Shape == many:
		return t.submitted(ctx, file)
	case t.work.Shape == kill:
		return killing{
			dir:    t.dir,
			begin:  func() (*running, error) { return t.command("run", file).start(ctx) },
			strike: func(*running) error { return killHard(t.server(ctx)) },
		}.measured()
	}
	return t.command("run", file).measured(ctx)
}

// submitted starts all runs from one shell loop, and waits until the last has ended.
func (t *amlflowTrial) submitted(ctx context.Context, file string) (sample, error) {
	loop := t.command("run", "--detach", file)
	loop.args = atATime(t.work.Runs, loop.args)
	began := time.Now()
	s, err := loop.measured(ctx)
	for ended := false; err == nil && !ended; {
		ended, err = t.newestEnded(ctx)
	}
	s.seconds, s.memory = time.Since(began).Seconds(), 0 // the memory is that of the loop
	return s, err
}

// newestEnded reports whether the newest runs, as many as the work is, have all
// succeeded; one that ended otherwise is an error. It is asked again and again, as
// somebody would who waits, and takes a pause before each answer.
func (t *amlflowTrial) newestEnded(ctx context.Context) (bool, error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(50 * time.Millisecond):
	}
	text, err := t.command("ps", "-n", strconv.Itoa(t.work.Runs), "-o", "json").plain(ctx)
	if err != nil {
		return false, err
	}
	var list struct {
		Runs []struct{ Run, Status string }
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return false, fmt.Errorf("what ps printed: %w", err)
	}
	ended := len(list.Runs) == t.work.Runs
	for _, r := range list.Runs {
		switch r.Status {
		case "succeeded":
		case "running", "waiting":
			ended = false
		default:
			return false, fmt.Errorf("run %s has %s", r.Run, r.Status)
		}
	}
	return ended, nil
}

// right looks at what a run left, where its end alone does not tell.
func (t *amlflowTrial) right(ctx context.Context) error {
	if t.work.Shape != lines {
		return nil
	}
	count := t.command("logs", "@last", "--no-color")
	count.args = append([]string{"/bin/sh", "-c", `"$0" "$@" | wc -l`}, count.args...)
	text, err := count.plain(ctx)
	if err != nil {
		return err
	}
	if n := strings.TrimSpace(text); n != strconv.Itoa(logLines) {
		return fmt.Errorf("the log has %s lines, not %d", n, logLines)
	}
	return nil
}

// server is the process id of the background server; 0 when there is none.
func (t *amlflowTrial) server(ctx context.Context) int {
	text, _ := t.command("server", "status", "-o", "json").plain(ctx) // ends with an error when there is none
	var status struct{ PID int }
	_ = json.Unmarshal([]byte(text), &status)
	return status.PID
}

func (t *amlflowTrial) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also after an interrupt
	defer cancel()
	_, _ = t.command("server", "stop").plain(ctx)
	if t.temporal != nil {
		t.temporal.stop()
	}
}

// writeFiles writes files into a folder, which it makes.
func writeFiles(dir string, files map[string]string) error {
	var all []error
	for name, text := range files {
		path := filepath.Join(dir, name)
		all = append(all, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600))
	}
	return errors.Join(all...)
}
