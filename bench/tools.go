package main

import (
	"context"
	"errors"
	"strings"
)

// tool is one way to do the works: one column of the table.
type tool interface {
	// name is that of the column.
	name() string
	// version is what is measured; an error says that the tool is not here.
	version(ctx context.Context) (string, error)
	// begin gets ready to do a work in a folder that is empty and its own. It
	// returns errNone where the tool has no such thing. Nothing of it is measured.
	begin(ctx context.Context, w work, dir string) (trial, error)
}

// trial is a tool that is ready to do one work, several times.
type trial interface {
	// once does the work once and measures it. An error says that the work was not
	// done, or not right; the trial is not asked again.
	once(ctx context.Context) (sample, error)
	// end stops what the trial has left running.
	end()
}

// ours reports whether a column is amlflow in one of its forms.
func ours(tool string) bool { return tool == "amlflow" || strings.HasPrefix(tool, "amlflow,") }

// errNone says that a tool has nothing that could be measured for a work.
var errNone = errors.New("this tool has no such thing")

// sample is what was measured of a work that was done once.
type sample struct {
	seconds float64 // by the clock on the wall
	memory  int64   // bytes: the most that the command held, without what it started; 0: not known
	server  int64   // bytes: the most that what stays in the background held; 0: there is none
	again   int     // stages that were run twice
}

// allTools lists all that may be measured, amlflow first.
func (s settings) allTools() []tool {
	a := amlflow{exe: s.amlflow}
	all := []tool{a, library{a}, amlflow{exe: s.amlflow, external: true}}
	for _, p := range peers {
		p.dir = s.peers
		all = append(all, p)
	}
	return append(all, floor{}, floor{local: true})
}
