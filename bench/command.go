package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// How long one command may take.
const (
	patience     = 20 * time.Minute
	peerPatience = 2 * time.Minute
)

// command is one that a person could have typed.
type command struct {
	dir  string
	env  []string // besides this process's own
	args []string
	most time.Duration // that it may take; 0: patience
}

// outputFile is where the output of a command goes: to no terminal, and as fast
// as a disk takes it.
const outputFile = "output"

// measured runs the command and says how long it took, and how much memory it held.
func (c command) measured(ctx context.Context) (sample, error) {
	running, err := c.start(ctx)
	if err != nil {
		return sample{}, err
	}
	return running.wait()
}

// running is a command that has started.
type running struct {
	*exec.Cmd
	stop  context.CancelFunc // kills it, if it is there
	ended chan struct{}      // closed when it has ended
	sample
	err error
}

func (c command) start(ctx context.Context) (*running, error) {
	output, err := os.Create(filepath.Join(c.dir, outputFile))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	most := cmp.Or(c.most, patience)
	ctx, stop := context.WithTimeoutCause(ctx, most, fmt.Errorf("it took more than %v", most))
	r := &running{Cmd: exec.CommandContext(ctx, c.args[0], c.args[1:]...), stop: stop, ended: make(chan struct{})}
	r.Dir, r.Env, r.Stdout, r.Stderr = c.dir, append(os.Environ(), c.env...), output, output
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.Cancel = func() error { return syscall.Kill(-r.Process.Pid, syscall.SIGKILL) }
	began := time.Now()
	if err := r.Start(); err != nil {
		stop()
		return nil, err
	}
	go r.follow(ctx, began, output.Name())
	return r, nil
}

func (r *running) follow(ctx context.Context, began time.Time, output string) {
	defer close(r.ended)
	defer r.stop()
	memory := r.peak()
	err := r.Wait()
	r.sample = sample{seconds: time.Since(began).Seconds(), memory: memory()}
	if cause := context.Cause(ctx); cause != nil {
		r.err = cause
	} else if err != nil {
		r.err = fmt.Errorf("%w: %s", err, lastWords(output))
	}
}

// peak watches the memory of the command until it is asked for the most of it. What
// the system says at the end is of no use: it counts a process from the moment at
// which it still shared the memory of this one.
func (r *running) peak() (asked func() int64) {
	done, answer := make(chan struct{}), make(chan int64)
	go func() {
		most := peakOf(r.Process.Pid)
		for {
			select {
			case <-done:
				answer <- most
				return
			case <-time.After(looks):
				most = max(most, peakOf(r.Process.Pid))
			}
		}
	}()
	return func() int64 { close(done); return <-answer }
}

// looks is how often the memory of a command is looked at.
const looks = 5 * time.Millisecond

// wait returns when the command has ended, with what was measured.
func (r *running) wait() (sample, error) {
	<-r.ended
	return r.sample, r.err
}

// abandon kills what is left of the command, and returns when it has gone.
func (r *running) abandon() {
	r.stop()
	<-r.ended
}

// plain runs the command and returns what it wrote.
func (c command) plain(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w", strings.Join(c.args, " "), err)
	}
	return string(out), nil
}

// peakOf is the most memory that a living process has held so far; 0 where the system does not say.
func peakOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes := int64(0)
	_, _ = fmt.Sscan(rest, &kilobytes)
	return kilobytes * 1024
}

// What is said of a failure: so many lines, and characters of them.
const (
	linesKept = 3
	wordsKept = 400
)

// colour is how programs switch colours on a terminal.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// lastWords is the end of a command's output: the last lines that say something.
func lastWords(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	var said []string
	for line := range strings.Lines(colour.ReplaceAllString(string(text), "")) {
		if line = strings.TrimSpace(line); line != "" {
			said = append(said, line)
		}
	}
	last := strings.Join(said[max(0, len(said)-linesKept):], " / ")
	if len(last) > wordsKept {
		last = last[:wordsKept] + "…"
	}
	return cmp.Or(last, "it said nothing")
}
