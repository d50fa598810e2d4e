//go:build !slim

package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// serverLog passes the server's warnings and errors on, and drops the rest. It never writes to the terminal.
type serverLog struct {
	to       *slog.Logger
	database string
	fatal    func(error)
	stopping *atomic.Bool // the services complain of each other while they end
}

var _ log.WithLogger = (*serverLog)(nil)

// fatalError is what the server could not go on after.
type fatalError struct {
	message string
	cause   error
}

func (e *fatalError) Error() string { return strings.ToLower(e.message) + ": " + e.cause.Error() }
func (e *fatalError) Unwrap() error { return e.cause }

func (*serverLog) Debug(string, ...tag.Tag) {}
func (*serverLog) Info(string, ...tag.Tag)  {}

func (l *serverLog) Warn(message string, tags ...tag.Tag) {
	if !expected(message) {
		l.say(slog.LevelWarn, message, tags)
	}
}

func (l *serverLog) Error(message string, tags ...tag.Tag)  { l.say(slog.LevelError, message, tags) }
func (l *serverLog) DPanic(message string, tags ...tag.Tag) { l.say(slog.LevelError, message, tags) }

func (l *serverLog) Panic(message string, tags ...tag.Tag) {
	l.say(slog.LevelError, message, tags)
	panic(message)
}

// Fatal must not return, and must not end the process either, as that is for the engine to decide: it ends the goroutine.
func (l *serverLog) Fatal(message string, tags ...tag.Tag) {
	l.fatal(&fatalError{message: message, cause: errorIn(tags)})
	runtime.Goexit()
}

func (l *serverLog) With(tags ...tag.Tag) log.Logger {
	with := *l
	with.to = l.to.With(attributes(tags)...)
	return &with
}

func (l *serverLog) say(level slog.Level, message string, tags []tag.Tag) {
	err := errorIn(tags)
	cure := cureFor(err, l.database)
	if l.stopping.Load() {
		return
	}
	if isDamage(err) {
		l.fatal(fmt.Errorf("%w: %s: %w", ErrDatabase, cure, err)) // going on would only spread it
	}
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	args := attributes(tags)
	if cure != "" {
		args = append(args, "hint", cure)
	}
	l.to.Log(context.Background(), level, message, args...)
}

func attributes(tags []tag.Tag) []any {
	var out []any
	for _, t := range tags {
		if t.Key() != "sys-stack-trace" { // pages of it, which say nothing to a user
			out = append(out, slog.Any(t.Key(), t.Value()))
		}
	}
	return out
}

func errorIn(tags []tag.Tag) error {
	for _, t := range tags {
		if z, ok := t.(tag.ZapTag); ok {
			if err, ok := z.Field().Interface.(error); ok {
				return err
			}
		}
		if t.Key() == "error" {
			return fmt.Errorf("%v", t.Value())
		}
	}
	return errors.New("the server gave no reason")
}

// expected are warnings about how we run the server, on purpose; and about its services not reaching each other, which they do only
// while they start and stop, as they are one process.
func expected(message string) bool {
	return message == "network dial error" ||
		strings.HasPrefix(message, "HTTP API port has not been set") ||
		strings.HasPrefix(message, "Not using any authorizer")
}
