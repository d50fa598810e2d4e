// Command bench measures amlflow beside whatever else does the same work on this
// machine, and prints one table. Nothing here is an assertion: it never fails for
// being slow, only when a run of amlflow did not do what it should have.
//
//	go run ./bench --amlflow bin/amlflow --quick
//
// What it measures is in works.go, beside whom in tools.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// settings are what a person chooses.
type settings struct {
	amlflow, peers   string         // the program, and the folder that peers.sh filled
	only, tools      *regexp.Regexp // works and tools by name; nil: all
	runs             int            // of each work with each tool
	quick, huge      bool
	from, json, plot string // files; "" means none
	write            bool   // rewrite what docs holds
	note             string // what else one should know of the circumstances
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == temporalVerb {
		return serveTemporal(ctx, args[1:], os.Stdin, os.Stdout)
	}
	s, err := parse(args)
	if err != nil {
		return err
	}
	r, err := s.report(ctx)
	if err != nil {
		return err
	}
	fmt.Print("\n", r.text())
	interrupted := ctx.Err() != nil
	s.write = s.write && !interrupted // docs has all works or none
	if err := s.keep(r); err != nil {
		return err
	}
	if interrupted {
		return errors.New("interrupted: the table has what was measured until then, and docs was left alone")
	}
	return r.wrong()
}

// report is measured, or read from a file of earlier figures.
func (s settings) report(ctx context.Context) (*report, error) {
	if s.from != "" {
		return readReport(s.from)
	}
	return s.measure(ctx)
}

func parse(args []string) (s settings, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	only, tools := "", ""
	f.StringVar(&s.amlflow, "amlflow", "bin/amlflow", "the `program` to measure")
	f.StringVar(&s.peers, "peers", ".peers", "the `folder` that bench/peers.sh filled; what is not there is looked for in PATH")
	f.StringVar(&only, "only", "", "measure works whose name matches this `regexp`")
	f.StringVar(&tools, "tools", "", "measure tools whose name matches this `regexp`, and amlflow")
	f.IntVar(&s.runs, "runs", 5, "how `often` each work is measured with each tool; the table has the median")
	f.BoolVar(&s.quick, "quick", false, "measure once, and nothing of more than 1,000 stages")
	f.BoolVar(&s.huge, "huge", false, "measure 100,000 stages, too")
	f.StringVar(&s.from, "from", "", "measure nothing: take the figures of this JSON `file`")
	f.StringVar(&s.json, "json", "", "write the figures to this `file`")
	f.StringVar(&s.plot, "svg", "", "draw how time grows with the number of stages into this `file`")
	f.StringVar(&s.note, "note", "", "say this `sentence` above the table")
	f.BoolVar(&s.write, "write", false, "write docs/measures.json and docs/growth.svg, and the table into docs/measures.md")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("%q is not a flag: --help lists them", f.Arg(0))
	}
	if s.runs < 1 {
		return s, fmt.Errorf("--runs %d: measure at least once", s.runs)
	}
	if s.quick {
		s.runs = 1
	}
	s.only, err = regexp.Compile(only)
	if err != nil {
		return s, fmt.Errorf("--only: %w", err)
	}
	s.tools, err = regexp.Compile(tools)
	if err != nil {
		return s, fmt.Errorf("--tools: %w", err)
	}
	return s, nil
}

// keep writes the files that were asked for.
func (s settings) keep(r *report) error {
	figures, plots := []string{s.json}, []string{s.plot}
	if s.write {
		figures, plots = append(figures, "docs/measures.json"), append(plots, "docs/growth.svg")
		if err := rewriteSection("docs/measures.md", r.text()); err != nil {
			return err
		}
	}
	for _, name := range figures {
		if err := writeUnless(name, r.json()); err != nil {
			return err
		}
	}
	for _, name := range plots {
		if err := writeUnless(name, growth(r)); err != nil {
			return err
		}
	}
	return nil
}

// writeUnless writes a file that has a name.
func writeUnless(name, text string) error {
	if name == "" {
		return nil
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
