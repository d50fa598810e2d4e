// Package remote starts processes at most once on a machine where amlflow is not
// installed, and finds them again, with folders on that machine as the only memory.
//
// All that it asks of a machine is a POSIX shell and tar. It puts a shell script
// there, the tool, and calls one verb of it at a time through a Shell. What is kept
// in the work folder, which belongs to one user:
//
//	bin/DIGEST            the tool, by its own digest: versions do not disturb each other
//	store/HEX, HEX.x      contents by SHA-256; those of executable files apart
//	envs/DIGEST/made, TOKEN/  environments of Python by what they were made from, see tool/python.sh
//	trees/HEX.at, TOKEN/  folders by the digest of their list: where each is; their files are links into store
//	jobs/UNIT/            a unit is one process: one rank of a job
//	    TOKEN/            what one submission has laid out: process.sh, job.json, script, grace, owner, code/, in/, out/, tmp/
//	    sealed            which of those is the unit's for ever; the first counts, the others are removed
//	    started           PID BOOT HOST TIME TOKEN of the supervisor
//	    stop              CAUSE TIME: it was asked to end, or never to start
//	    end               exit STATUS TIME CAUSE, or killed, lost, never: how it ended
//	    gone              nothing of it is alive
//	    log, unstarted    what it wrote; its command could not be executed
//	    cut               which part of the log is left out, see tool/log.sh
//	    groups, starved   what holds it to its limits, and what came of that, see tool/limits.sh
//	    confided, told    secrets that wait for the supervisor; a signal of whoever lends the machine
//	cleaned/UNIT          the unit was cleaned, and never starts again
//	owners/OWNER          a state folder uses this work folder; touched when it comes
//	gpus/BOOT/            who has which GPU of the machine, and who waits for some, see tool/gpus.sh
//	removed/              on their way out
//
// Each of sealed, started, stop and end is made by link(2): it appears whole, and of
// several who make it one wins, on any file system and from any machine that shares it.
//
//	end                    ended or lost, as it says, once gone is there
//	started, its pid ours  running
//	started                lost, or ended when it was asked to stop
//	stop                   ended, it never starts
//	none of them           safe to start
//
// The supervisor itself makes started before it runs anything, so nobody can die
// between the mark and the start; and whoever fails to make it runs nothing. It looks
// for stop only then, and whoever makes stop looks for started only then: one of the
// two sees the other. It enforces the timeout, and whoever stops it leaves a process
// that enforces the grace, so that both hold while nobody is connected.
//
// Secrets come through the standard input of the supervisor, and are in no file, no
// argument and no environment but that of the process. Where nobody is connected when a
// process starts, a driver may let them wait in a file, which the supervisor removes first.
//
// A machine may stand for others that share its folder, and on which units run: those whose
// verbs set elsewhere (see tool/records.sh). Then it sees no process, and that nothing of a
// unit is alive is what gone says.
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Shell runs scripts on one machine. It may be used by many at once.
type Shell interface {
	// Run runs script with /bin/sh -c, in the home folder of the user, until it ends.
	// The script is one line without single quotes, backslashes and exclamation
	// marks, so that it can be handed through any login shell in single quotes; what
	// that shell prints by itself comes before what the script does. A script that
	// ends with another status than 0 is an *ExitError. An error that wraps
	// target.ErrUnreachable says nothing about what the script has done.
	Run(ctx context.Context, script string, in io.Reader, out io.Writer) error
}

// ExitError is the end of a script that did not do what it was to do.
type ExitError struct {
	Status int
	Stderr string // the end of what it said
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("exit status %d: %s", e.Status, e.Stderr)
}

// Here is the Shell of this computer.
type Here struct{ Home string }

// Run implements Shell.
func (h Here) Run(ctx context.Context, script string, in io.Reader, out io.Writer) error {
	var said Tail
	c := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	c.Dir, c.Stdin, c.Stdout, c.Stderr = h.Home, in, out, &said
	c.WaitDelay = 5 * time.Second
	err := c.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &ended) && ended.ExitCode() >= 0:
		return &ExitError{Status: ended.ExitCode(), Stderr: said.String()}
	}
	return fmt.Errorf("run a script on this computer: %w: %w", err, target.ErrUnreachable)
}

// Tail is a writer that keeps the end of what is written to it, 8 KiB.
type Tail struct{ text []byte }

const tailSize = 8 << 10

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if n := len(t.text) - tailSize; n > tailSize {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(p), nil
}

func (t *Tail) String() string {
	return string(bytes.ToValidUTF8(t.text[max(0, len(t.text)-tailSize):], []byte("\uFFFD")))
}
