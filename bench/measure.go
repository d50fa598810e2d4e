package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// enough is how many seconds are spent on one work with one peer: one that takes
// long is measured less often, and the table says so.
const enough = 60

// measure does all works with all tools that are here.
func (s settings) measure(ctx context.Context) (*report, error) {
	r := &report{Date: time.Now().UTC().Format(time.DateOnly), Machine: machine(), Note: s.note, Runs: s.runs}
	here, err := s.look(ctx, r)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "amlflow-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for i, w := range works {
		if !s.wanted(w) || ctx.Err() != nil {
			continue
		}
		figures, err := s.compare(ctx, w, here, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		if ctx.Err() == nil { // a work that was broken off is no figure
			r.Works, r.Figures = append(r.Works, w), append(r.Figures, figures...)
		}
	}
	return r, nil
}

// compare does one work with all tools, in a folder that is gone afterwards.
func (s settings) compare(ctx context.Context, w work, here []tool, dir string) (figures []figure, err error) {
	fmt.Fprintln(os.Stderr, w.Name)
	contenders := enter(ctx, w, here, dir)
	contest(ctx, contenders, w.times(s.runs))
	for _, c := range contenders {
		c.trial.end()
		figures = append(figures, c.figure)
	}
	return figures, os.RemoveAll(dir)
}

// look finds the tools that are here, and notes those that are not. amlflow must be.
func (s settings) look(ctx context.Context, r *report) (here []tool, err error) {
	for i, t := range s.allTools() {
		if i > 0 && !s.tools.MatchString(t.name()) {
			continue
		}
		version, err := t.version(ctx)
		if err != nil && i == 0 {
			return nil, err
		}
		c := column{Name: t.name(), Version: version}
		if err != nil {
			c.Absent = err.Error()
			fmt.Fprintf(os.Stderr, "%s is not here: %v\n", c.Name, err)
		} else {
			here = append(here, t)
		}
		r.Tools = append(r.Tools, c)
	}
	return here, nil
}

// contender is a tool in one work.
type contender struct {
	trial  trial
	figure figure
}

// enter gets the tools ready that have such a thing.
func enter(ctx context.Context, w work, here []tool, dir string) (all []*contender) {
	for i, t := range here {
		below := filepath.Join(dir, strconv.Itoa(i))
		c := &contender{trial: nobody{}, figure: figure{Work: w.Name, Tool: t.name()}}
		err := os.MkdirAll(below, 0o755)
		if err == nil {
			var ready trial
			if ready, err = t.begin(ctx, w, below); err == nil {
				c.trial = ready
			}
		}
		if errors.Is(err, errNone) {
			continue
		}
		if err != nil {
			c.fail(err)
		}
		all = append(all, c)
	}
	return all
}

// nobody is the trial of a tool that could not begin.
type nobody struct{}

func (nobody) once(context.Context) (sample, error) { return sample{}, errNone }
func (nobody) end()                                 {}

// contest lets all do the work in turn, again and again, so that whatever else the
// machine does hits all alike.
func contest(ctx context.Context, all []*contender, times int) {
	for round := range times {
		for _, c := range all {
			if ctx.Err() == nil && c.goesOn(round) {
				c.once(ctx)
			}
		}
	}
}

// goesOn reports whether a contender is asked once more.
func (c *contender) goesOn(round int) bool {
	spent := 0.0
	for _, s := range c.figure.Seconds {
		spent += s
	}
	return c.figure.Fails == "" && (round == 0 || ours(c.figure.Tool) || spent < enough)
}

func (c *contender) once(ctx context.Context) {
	s, err := c.trial.once(ctx)
	if err != nil {
		c.fail(err)
		return
	}
	fmt.Fprintf(os.Stderr, "  %-28s %s s\n", c.figure.Tool, seconds(s.seconds))
	c.figure.add(s)
}

func (c *contender) fail(err error) {
	c.figure.Fails = oneLine(err.Error())
	fmt.Fprintf(os.Stderr, "  %-28s fails: %s\n", c.figure.Tool, c.figure.Fails)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
