package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// ending tells a person how a run ended: what it gave on the output, and what
// went wrong beside it. made is nil when the run was started elsewhere.
func (p *program) ending(r *flow.Progress, made *engine.Prepared) {
	p.say("")
	p.say("run %s %s in %s", p.paintErr(bold, r.Run), state(p.colourErr, r.Status), span(r.Started, r.Ended))
	if r.Error != "" {
		p.say("%s", clean(r.Error))
	}
	p.results(r)
	p.dangers(r)
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Status == target.Failed || s.Status == target.Lost {
			p.failure(p.err, p.colourErr, r, s)
		}
	}
	p.ask(r, made)
}

// results is what a run gave: metrics, endpoints and outputs.
func (p *program) results(r *flow.Progress) {
	var rows [][]string
	for _, s := range r.Stages {
		if s.Status != target.Succeeded {
			continue
		}
		if m := numbersOf(&s); m != "" {
			rows = append(rows, []string{s.Name, m})
		}
		for _, output := range slices.Sorted(maps.Keys(s.Models)) {
			rows = append(rows, []string{s.Name, "model " + s.Models[output]})
		}
		if s.URL != "" {
			rows = append(rows, []string{s.Name, p.paintOut(cyan, s.URL)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
		rows = append(rows, []string{"output", name + " " + value(r.Outputs[name])})
	}
	table(p.out, rows)
}

// dangers says which of the models that a run made run code when they are loaded, or have
// another name than they were given.
func (p *program) dangers(r *flow.Progress) {
	for _, s := range r.Stages {
		for _, n := range s.Notes {
			if len(s.Models) > 0 && (strings.Contains(n, workers.RunsCode) || strings.Contains(n, workers.Renamed)) {
				p.say("%s %s", p.paintErr(yellow, "note:"), clean(n))
			}
		}
	}
}

// mostShown is how many metrics of a stage are shown in a line. Code that logs to MLflow
// may have hundreds; `amlflow metrics` has all.
const mostShown = 12

func metrics(m map[string]float64) string {
	var parts []string
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i == mostShown && len(m) > mostShown+1 {
			parts = append(parts, fmt.Sprintf("and %d more", len(m)-mostShown))
			break
		}
		parts = append(parts, name+" "+number(m[name]))
	}
	return strings.Join(parts, "  ")
}

// ask prints a command that asks what was deployed for an answer.
func (p *program) ask(r *flow.Progress, made *engine.Prepared) {
	for _, s := range r.Stages {
		if s.URL == "" || s.Status != target.Succeeded {
			continue
		}
		data := "JSON"
		if file := sampleFile(made, s.Name); file != "" {
			data = "@" + file
		}
		p.say("")
		p.say("ask it:  %s endpoint invoke %s --data %s", invocation(), endpointName(s.URL), data)
	}
}

// endpointName is the last part of an endpoint's URL.
func endpointName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return path.Base(u.Path)
}

// sampleFile is the sample request of a stage, as a path from here.
func sampleFile(made *engine.Prepared, stage string) string {
	if made == nil || made.Pipeline == nil {
		return ""
	}
	for _, s := range made.Pipeline.Stages {
		if s.Name == stage && s.Deploy != nil && s.Deploy.Sample != "" {
			return path.Join(path.Dir(made.File), s.Code, s.Deploy.Sample)
		}
	}
	return ""
}

// culprit is the stage to blame: the first that did not end well by itself.
func culprit(r *flow.Progress) *flow.StageProgress {
	var found *flow.StageProgress
	for i := range r.Stages {
		s := &r.Stages[i]
		bad := s.Status == target.Failed || s.Status == target.Lost
		if bad && (found == nil || s.Ended.Before(found.Ended)) {
			found = s
		}
	}
	return found
}

// sentence says in one line why a run did not succeed.
func sentence(r *flow.Progress) string {
	if r.Error != "" {
		return r.Error
	}
	if s := culprit(r); s != nil {
		return blame(s)
	}
	return ""
}

func blame(s *flow.StageProgress) string {
	where := ""
	if s.Target != "" {
		where = fmt.Sprintf(" on target %q", s.Target)
	}
	if s.Attempts > 1 {
		where += fmt.Sprintf(" in attempt %d", s.Attempts)
	}
	return fmt.Sprintf("stage %q %s%s: %s", s.Name, s.Status, where, first(s.Error, string(s.Cause), "no reason was given"))
}

// failure shows all that helps with a stage that failed: the end of its log, the
// place in the file that would mend it, and what to do next.
func (p *program) failure(w io.Writer, colour bool, r *flow.Progress, s *flow.StageProgress) {
	fmt.Fprintln(w)
	f := diag.Finding{Pos: s.At, Severity: diag.Error, Code: "stage-failed", Message: clean(blame(s)), Hint: cure(s)}
	_ = diag.Text(w, diag.Findings{f}, unchanged(r), colour)
	for _, n := range s.Notes {
		fmt.Fprintf(w, "      %s %s\n", paint(colour, dim, "note:"), clean(n))
	}
	if len(s.Tail) > 0 {
		fmt.Fprintln(w, "  the end of its log:")
	}
	for _, line := range s.Tail {
		fmt.Fprintf(w, "  %s %s\n", paint(colour, dim, "|"), clean(line))
	}
	if s.Exit != nil {
		fmt.Fprintf(w, "all of it:  %s logs %s %s\n", invocation(), r.Run, s.Name)
	}
	if r.Status.Ended() {
		fmt.Fprintf(w, "go on from here, once it is mended:  %s retry %s\n", invocation(), r.Run)
	}
}

// cure is advice for a cause, where there is some.
func cure(s *flow.StageProgress) string {
	if strings.Contains(s.Error, syscall.ENOSPC.Error()) {
		return "make room on that disk, or name a folder on another as `store` in amlflow.yaml"
	}
	switch s.Cause {
	case target.CauseTimeout:
		return "give it more time here, or make it faster"
	case target.CauseOOM:
		return "ask for more memory here, or use less"
	case target.CauseLost:
		return "if it may run twice, `retry: { on: [lost] }` starts it again"
	case plan.CauseCheck:
		return "the version before serves on; mend the new one, or what is asked of it here"
	case target.CauseExit:
		return cureExit(s.Exit)
	}
	return ""
}

// cureExit knows the two codes that shells give themselves.
func cureExit(code *int) string {
	switch {
	case code != nil && *code == 127:
		return "a command that it calls is not in the PATH: install it, or correct its name"
	case code != nil && *code == 126:
		return "a file that it calls may not be executed: chmod +x FILE, or name its interpreter"
	}
	return ""
}

// unchanged looks up lines of files that were not edited since the run started.
func unchanged(r *flow.Progress) diag.Lookup {
	lines := fileLines()
	return func(file string, n int) string {
		info, err := os.Stat(file)
		if err != nil || info.ModTime().After(r.Started) {
			return ""
		}
		return lines(file, n)
	}
}

// fileLines looks lines up in files on the disk, each of which it reads once. A
// line that is not there is empty.
func fileLines() diag.Lookup {
	read := map[string][]string{}
	return func(file string, n int) string {
		lines, ok := read[file]
		if !ok {
			text, _ := engine.ReadFile(file) // a file that cannot be read has no lines
			lines = strings.Split(string(text), "\n")
			read[file] = lines
		}
		if n < 1 || n > len(lines) {
			return ""
		}
		return strings.TrimSuffix(lines[n-1], "\r")
	}
}
