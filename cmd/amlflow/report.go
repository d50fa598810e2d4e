package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/docs/findings"
	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

// reports are the forms in which findings are wanted, and where each of them goes.
// It is the value of --report.
type reports struct {
	asked []wish
	// data says that findings are what the verb prints. Their text then has standard
	// output, unless a report takes that, and a machine that reads it gets no text.
	data bool
}

// wish is one report: its kind and its file. Without a file it is for standard output.
type wish struct{ kind, file string }

func (w wish) String() string {
	if w.file == "" {
		return w.kind
	}
	return w.kind + "=" + w.file
}

// flags gives a verb --report.
func (r *reports) flags(v *cobra.Command) {
	v.Flags().Var(r, "report", "report findings as "+strings.Join(diag.Kinds(), ", ")+", to FILE or standard output; may be repeated")
	_ = v.RegisterFlagCompletionFunc("report", cobra.FixedCompletions(diag.Kinds(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
}

// Type is how the help calls the value.
func (r *reports) Type() string { return "KIND[=FILE]" }

func (r *reports) String() string {
	var all []string
	for _, w := range r.asked {
		all = append(all, w.String())
	}
	return strings.Join(all, " ")
}

// Set takes one more KIND[=FILE]. Two reports never share a place.
func (r *reports) Set(text string) error {
	kind, file, named := strings.Cut(text, "=")
	if !slices.Contains(diag.Kinds(), kind) {
		return fmt.Errorf("there is no report of kind %q: %s", kind, meant(kind, diag.Kinds()))
	}
	if named && file == "" {
		return fmt.Errorf("it names no file: write --report %s=FILE", kind)
	}
	if file == "-" {
		file = ""
	}
	for _, w := range r.asked {
		switch {
		case w.file != file:
		case file == "":
			return fmt.Errorf("%q goes to standard output already: write --report %s=FILE", w.kind, kind)
		default:
			return fmt.Errorf("%q goes to %q already: name another file", w.kind, file)
		}
	}
	r.asked = append(r.asked, wish{kind, file})
	return nil
}

// meant is the cure for a name that is not known.
func meant(name string, known []string) string {
	if n := diag.Nearest(name, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "use " + strings.Join(known, ", ")
}

// onOut is the kind that goes to standard output, if any does.
func (r *reports) onOut() string {
	for _, w := range r.asked {
		if w.file == "" {
			return w.kind
		}
	}
	return ""
}

// ofCI are the kinds that the CI around us reads from the log of a job. Who asks
// for reports gets those and no others.
func (r *reports) ofCI(env func(string) string) []string {
	var kinds []string
	if len(r.asked) > 0 {
		return nil
	}
	if strings.EqualFold(env("GITHUB_ACTIONS"), "true") {
		kinds = append(kinds, "github")
	}
	if strings.EqualFold(env("TF_BUILD"), "true") {
		kinds = append(kinds, "azure")
	}
	return kinds
}

// deliver shows findings to people and writes every report, also when there are no
// findings. files are all that was checked. A report on standard output has it for
// itself: what the verb prints afterwards goes to standard error. So does what is
// meant for the CI, which reads both.
func (p *program) deliver(r *reports, found diag.Findings, files []string, lines diag.Lookup) error {
	out := r.onOut()
	if out != "" && p.output != "table" {
		return usage(fmt.Errorf("-o %s and --report %s both want standard output: write --report %s=FILE", p.output, out, out))
	}
	if w := p.people(r); w != nil {
		p.findings(w, found, lines)
	}
	all := diag.Report{Findings: found, Files: files, Lines: lines, Tool: "amlflow", Version: strings.TrimPrefix(version(), "v"), Explain: findings.Page}
	at := whereabouts(os.Getenv)
	for _, w := range r.asked {
		if w == (wish{kind: "text"}) {
			continue // people have it
		}
		if err := w.write(p.out, at.named(all, w.kind)); err != nil {
			return err
		}
	}
	for _, kind := range r.ofCI(os.Getenv) {
		if err := diag.Print(p.err, kind, at.named(all, kind)); err != nil {
			return err
		}
	}
	if out != "" && out != "text" {
		p.out, p.colourOut = p.err, p.colourErr
	}
	return nil
}

// people is where the text for people goes; nil when a machine reads instead.
func (p *program) people(r *reports) io.Writer {
	switch out := r.onOut(); {
	case out == "text":
		return p.out
	case out != "" || !r.data:
		return p.err
	case p.output != "table":
		return nil
	}
	return p.out
}

func (w wish) write(out io.Writer, r diag.Report) error {
	if w.file == "" {
		return diag.Print(out, w.kind, r)
	}
	var text bytes.Buffer
	if err := diag.Print(&text, w.kind, r); err != nil {
		return err
	}
	if err := replace(w.file, text.Bytes()); err != nil {
		return fmt.Errorf("the report %q cannot be written: %w", w, err)
	}
	return nil
}

// replace puts a whole file in the place of an old one, and makes its folder. A pipe
// or a device stays what it is, and a link leads where it did.
func replace(file string, text []byte) error {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(file, text, 0o644)
	}
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp := file + "." + rand.Text()[:8]
	defer os.Remove(tmp)
	if err := os.WriteFile(tmp, text, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// filesOf are the files that a pipeline was made from.
func filesOf(made *engine.Prepared) []string {
	files := []string{made.File}
	if w := made.Workspace; w != nil && w.Source != nil {
		files = append(files, w.Source.Name)
	}
	return files
}
