package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
)

// The exit codes. They are part of the contract with scripts and never change.
const (
	exitOK          = 0
	exitFault       = 1 // ours
	exitUsage       = 2
	exitInvalid     = 3 // the files
	exitNotAllowed  = 4
	exitUnreachable = 5
	exitNotFound    = 6
	exitConflict    = 7
	exitRunning     = 8
	exitFailed      = 10
	exitCancelled   = 11
	exitTimedOut    = 12
	exitChanges     = 20 // the plan has changes, when asked; results differ
	exitInterrupted = 130
)

// ended is an error that carries its own exit code. Without a text, everything
// has been said already.
type ended struct {
	code int
	err  error
}

func (e ended) Error() string {
	if e.err == nil {
		return fmt.Sprint("exit code ", e.code)
	}
	return e.err.Error()
}

func (e ended) Unwrap() error { return e.err }

func usage(err error) error { return ended{exitUsage, err} }

// silently ends with a code after everything has been said.
func silently(code int) error {
	if code == exitOK {
		return nil
	}
	return ended{code: code}
}

// exit says what went wrong and returns the exit code.
func (p *program) exit(err error) int {
	if err == nil {
		return exitOK
	}
	code := p.codeOf(err)
	var e ended
	if errors.As(err, &e) && e.err == nil {
		return code
	}
	if findings := diag.Of(err); len(findings) > 0 {
		_ = diag.Text(p.err, findings, fileLines(), p.colourErr)
		return code
	}
	p.say("%s %s", p.paintErr(red, "error:"), strings.TrimSuffix(strings.ReplaceAll(err.Error(), ": "+target.ErrPermanent.Error(), ""), ": "+fs.ErrNotExist.Error()))
	if code == exitUsage {
		p.say("see `%s --help`", invocation())
	}
	return code
}

func (p *program) codeOf(err error) int {
	var e ended
	if errors.As(err, &e) {
		return e.code
	}
	if !p.parsed {
		return exitUsage // the command line itself was refused
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if len(diag.Of(err)) > 0 {
		return exitInvalid
	}
	return exitFault
}

// codes says which errors have which exit code; the first that fits counts.
var codes = []struct {
	err  error
	code int
}{
	{cluster.ErrUnauthorised, exitNotAllowed},
	{cluster.ErrUntrusted, exitNotAllowed},
	{cluster.ErrNoNamespace, exitNotFound},
	{cluster.ErrUnreachable, exitUnreachable},
	{cluster.ErrSlim, exitUnreachable},
	{server.ErrNotStarted, exitUnreachable},
	{engine.ErrNotFound, exitNotFound},
	{engine.ErrNoEndpoint, exitNotFound},
	{engine.ErrNoVersion, exitNotFound},
	{engine.ErrNothingThere, exitNotFound},
	{registry.ErrUnknown, exitNotFound},
	{registry.ErrHeld, exitConflict},
	{engine.ErrNoSchedule, exitNotFound},
	{engine.ErrOverlap, exitConflict},
	{engine.ErrAmbiguous, exitConflict},
	{engine.ErrMayNot, exitNotAllowed},
	{engine.ErrNotWaiting, exitConflict},
	{engine.ErrConflict, exitConflict},
	{engine.ErrKeyTaken, exitConflict},
	{engine.ErrSweeping, exitConflict},
	{engine.ErrRemoved, exitNotFound},
	{engine.ErrNoStage, exitNotFound},
	{engine.ErrNotVerified, exitUsage},
	{schema.ErrByHand, exitConflict},
	{schema.ErrOnlyTarget, exitConflict},
	{fs.ErrNotExist, exitNotFound},
	{fs.ErrExist, exitConflict},
	{fs.ErrPermission, exitNotAllowed},
	{syscall.EROFS, exitNotAllowed},
	{fs.ErrInvalid, exitUsage},
	{context.Canceled, exitInterrupted},
	{context.DeadlineExceeded, exitUnreachable},
}

// codeOfRun is how `run` and `wait` end.
func codeOfRun(r *flow.Progress) int {
	switch r.Status {
	case target.Succeeded:
		return exitOK
	case target.Cancelled:
		return exitCancelled
	case target.Running, target.Waiting:
		return exitRunning
	}
	if s := culprit(r); s != nil && s.Cause == target.CauseTimeout {
		return exitTimedOut
	}
	return exitFailed
}
