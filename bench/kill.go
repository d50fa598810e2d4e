package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// killing is a chain whose engine is killed half way.
type killing struct {
	dir    string                   // where the stages leave their marks
	begin  func() (*running, error) // starts the command
	strike func(*running) error     // kills the engine
	again  func() (*running, error) // what a person types to go on; nil: the command does so by itself
}

// measured says for how long, from the kill on, no stage began, and how many began twice.
func (k killing) measured() (sample, error) {
	file := filepath.Join(k.dir, marks)
	if err := os.RemoveAll(file); err != nil {
		return sample{}, err
	}
	r, err := k.begin()
	if err != nil {
		return sample{}, err
	}
	defer r.abandon()
	if err := awaitMarks(r, file, killAfter); err != nil {
		return sample{}, err
	}
	if err := k.strike(r); err != nil {
		return sample{}, err
	}
	pause := longestPause(file)
	if k.again != nil {
		_, _ = r.wait() // it was killed
		if r, err = k.again(); err != nil {
			pause()
			return sample{}, err
		}
		defer r.abandon()
	}
	s, err := r.wait()
	s.seconds = pause().Seconds()
	began := readMarks(file)
	s.again = twice(began)
	if want := killStages + s.again; err == nil && len(began) != want {
		err = fmt.Errorf("%d stages began, not %d", len(began), want)
	}
	return s, err
}

// killHard ends a process as a power cut would.
func killHard(pid int) error {
	if pid <= 0 {
		return errors.New("there is no process to kill")
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// often is how often one looks whether a stage has begun.
const often = time.Millisecond

// awaitMarks returns when at least n stages of a command have begun.
func awaitMarks(r *running, file string, n int) error {
	for len(readMarks(file)) < n {
		select {
		case <-r.ended:
			_, err := r.wait()
			return errors.Join(fmt.Errorf("it ended after %d stages", len(readMarks(file))), err)
		case <-time.After(often):
		}
	}
	return nil
}

// longestPause watches until it is asked what the longest time was between now, or
// a stage that began, and the next that did.
func longestPause(file string) (asked func() time.Duration) {
	done, answer := make(chan struct{}), make(chan time.Duration)
	go func() {
		last, seen, longest := time.Now(), len(readMarks(file)), time.Duration(0)
		for {
			select {
			case <-done:
				answer <- longest
				return
			case <-time.After(often):
			}
			if n := len(readMarks(file)); n > seen {
				longest = max(longest, time.Since(last))
				last, seen = time.Now(), n
			}
		}
	}()
	return func() time.Duration { close(done); return <-answer }
}

// readMarks lists the stages that have begun, in order, as often as they did.
func readMarks(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // none yet
	}
	return strings.Fields(string(text))
}

// twice counts the stages that began more than once, each time after the first.
func twice(began []string) (n int) {
	seen := map[string]bool{}
	for _, name := range began {
		if seen[name] {
			n++
		}
		seen[name] = true
	}
	return n
}
