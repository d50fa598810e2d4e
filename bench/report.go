package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// report is all that was measured at one time on one machine.
type report struct {
	Date    string   `json:"date"`
	Machine string   `json:"machine"`
	Note    string   `json:"note,omitempty"` // what else one should know of the circumstances
	Runs    int      `json:"runs"`           // how often each work was to be measured
	Tools   []column `json:"tools"`
	Works   []work   `json:"works"`
	Figures []figure `json:"figures"`
}

// column is a tool that was measured, or is not here.
type column struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Absent  string `json:"absent,omitempty"` // why it is not here
}

// figure is what was measured of one work with one tool.
type figure struct {
	Work    string    `json:"work"`
	Tool    string    `json:"tool"`
	Seconds []float64 `json:"seconds,omitempty"` // each time that it was done
	Memory  int64     `json:"memory,omitempty"`  // bytes: the most that one command held
	Server  int64     `json:"server,omitempty"`  // bytes: the most that what stays in the background held
	Again   int       `json:"again,omitempty"`   // the most stages that were run twice
	Fails   string    `json:"fails,omitempty"`   // why it was not done
}

func (f *figure) add(s sample) {
	f.Seconds = append(f.Seconds, s.seconds)
	f.Memory, f.Server, f.Again = max(f.Memory, s.memory), max(f.Server, s.server), max(f.Again, s.again)
}

// median is the middle one of all that were measured; of an even number, the mean
// of the middle two. There must be one.
func (f figure) median() float64 {
	all := slices.Sorted(slices.Values(f.Seconds))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// find returns the figure of a work with a tool; nil when the tool has no such thing.
func (r *report) find(work, tool string) *figure {
	for i := range r.Figures {
		if f := &r.Figures[i]; f.Work == work && f.Tool == tool {
			return f
		}
	}
	return nil
}

// present lists the tools that were measured.
func (r *report) present() []column {
	return slices.DeleteFunc(slices.Clone(r.Tools), func(c column) bool { return c.Absent != "" })
}

// wrong says which works amlflow did not do as it should have. What a peer does is
// its own affair.
func (r *report) wrong() error {
	var all []error
	for _, f := range r.Figures {
		if !ours(f.Tool) {
			continue
		}
		if f.Fails != "" {
			all = append(all, fmt.Errorf("%s, %s: %s", f.Tool, f.Work, f.Fails))
		}
		if f.Again > 0 {
			all = append(all, fmt.Errorf("%s, %s: %d stages were run again", f.Tool, f.Work, f.Again))
		}
	}
	return errors.Join(all...)
}

func (r *report) json() string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // plain data
	}
	return string(text) + "\n"
}

func readReport(file string) (*report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is not a file of figures: %w", file, err)
	}
	return r, nil
}
