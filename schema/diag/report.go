package diag

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Report is findings together with what machines want to know beside them.
type Report struct {
	Findings Findings
	// Files are all that was checked, named as the findings name them. One without
	// a finding is in order, which some forms say.
	Files []string
	Lines Lookup // for text; may be nil

	Tool, Version string // who found it
	// Explain returns the page of a code as Markdown; may be nil.
	Explain func(code string) (string, bool)
}

// printers are the forms of a report, in the order in which they are listed.
var printers = []struct {
	kind  string
	print func(io.Writer, Report) error
}{
	{"text", func(w io.Writer, r Report) error { return Text(w, r.Findings, r.Lines, false) }},
	{"json", func(w io.Writer, r Report) error { return JSON(w, r.Findings) }},
	{"sarif", SARIF},
	{"junit", JUnit},
	{"github", GitHub},
	{"gitlab", GitLab},
	{"azure", Azure},
}

// Kinds are the names of the forms that Print knows.
func Kinds() []string {
	names := make([]string, len(printers))
	for i, p := range printers {
		names[i] = p.kind
	}
	return names
}

// Print writes a report in the form of a kind.
func Print(w io.Writer, kind string, r Report) error {
	for _, p := range printers {
		if p.kind == kind {
			return p.print(w, r)
		}
	}
	return fmt.Errorf("%q is not a kind of report: use %s", kind, strings.Join(Kinds(), ", "))
}

// files are the names of all that was checked or has a finding, each once and in
// order. The name of what lies in no file is empty.
func (r Report) files() []string {
	names := slices.Clone(r.Files)
	for _, f := range r.Findings {
		names = append(names, f.File)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// in are the findings of one file.
func (r Report) in(file string) Findings {
	var out Findings
	for _, f := range r.Findings {
		if f.File == file {
			out = append(out, f)
		}
	}
	return out
}

// fingerprints tell findings apart, and know them again after lines were added
// above them: neither line nor column is part of one. What is the same in all else
// is numbered.
func (r Report) fingerprints() []string {
	seen := map[string]int{}
	out := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		key := strings.Join([]string{slashed(f.File), string(f.Code), f.Path, f.Message}, "\x00")
		seen[key]++
		if n := seen[key]; n > 1 {
			key += fmt.Sprint("\x00", n)
		}
		sum := sha256.Sum256([]byte(key))
		out[i] = hex.EncodeToString(sum[:16])
	}
	return out
}

// slashed is a file's name as repositories write it.
func slashed(file string) string {
	if file == "" {
		return ""
	}
	return path.Clean(filepath.ToSlash(file))
}

// told is what is wrong, and with what between them, what to do about it.
func (f Finding) told(between string) string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + between + f.Hint
}

// end is the column after the last character that is meant, or 0 when unknown.
func (f Finding) end() int {
	if f.Col < 1 || f.Width < 1 {
		return 0
	}
	return f.Col + f.Width
}
