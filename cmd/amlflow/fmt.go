package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/unified"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

// stdin is how a person names standard input as a file, of which no more is read
// than any check would accept.
const (
	stdin    = "-"
	maxStdin = 64 << 20
)

func (p *program) fmtVerb() *cobra.Command {
	f := formatting{p: p}
	v := &cobra.Command{
		Use:   "fmt [FILE|FOLDER…|-]",
		Short: "Lay files out as the examples are",
		Long: `Fmt lays out pipeline, workspace, template and test files: all of them below the
current folder, or those that are named. It keeps comments, order, quotes, anchors
and what scripts say, and prints the names of the files that it changes. A file
that it cannot lay out without changing what it says is left as it is.

With - it reads standard input and writes to standard output. --check and --diff
write no file; --check ends with 3 when one would change.`,
		Args: takes(0, -1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return f.all(args)
		},
	}
	v.Flags().BoolVar(&f.check, "check", false, "list the files that would change, and end with 3 if there are any")
	v.Flags().BoolVar(&f.diff, "diff", false, "print what would change as a unified diff")
	return p.prints(v)
}

// formatting is one call of fmt.
type formatting struct {
	p           *program
	check, diff bool
	changed     int
	bad         bool // a file has mistakes
}

func (f *formatting) all(args []string) error {
	files, err := filesIn(args, isLanguage, "file of the language")
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := f.one(file); err != nil {
			return err
		}
	}
	f.p.say("%s", f.verdict(len(files)))
	if f.bad || f.check && f.changed > 0 {
		return silently(exitInvalid)
	}
	return nil
}

func (f *formatting) verdict(files int) string {
	switch {
	case f.changed == 0 && f.bad:
		return "nothing was changed"
	case f.changed == 0:
		return fmt.Sprintf("ok: %s", count(files, "file"))
	case f.check || f.diff:
		return fmt.Sprintf("%s of %d would change", count(f.changed, "file"), files)
	}
	return fmt.Sprintf("%s of %d changed", count(f.changed, "file"), files)
}

func (f *formatting) one(file string) error {
	text, err := f.read(file)
	if err != nil {
		return err
	}
	out, findings := schema.Format(file, text)
	if len(findings) > 0 {
		f.p.findings(f.p.err, findings, linesOf(text))
	}
	if out == nil {
		f.bad = true
		return nil
	}
	if !bytes.Equal(text, out) {
		f.changed++
	}
	return f.deliver(file, text, out)
}

func (f *formatting) read(file string) ([]byte, error) {
	if file == stdin {
		return io.ReadAll(io.LimitReader(f.p.in, maxStdin))
	}
	return engine.ReadFile(file)
}

// deliver puts the result where it was asked for.
func (f *formatting) deliver(file string, text, out []byte) error {
	same := bytes.Equal(text, out)
	switch {
	case f.diff:
		_, err := io.WriteString(f.p.out, unified.Diff(file, file, string(text), string(out)))
		return err
	case file == stdin && !f.check:
		_, err := f.p.out.Write(out)
		return err
	case same:
		return nil
	case !f.check:
		if err := rewrite(file, out); err != nil {
			return err
		}
	}
	f.p.print("%s", file)
	return nil
}

// rewrite gives a file another content, all at once. It keeps its mode and, when it
// is a link, stays one.
func rewrite(file string, text []byte) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	old, err := os.OpenFile(path, os.O_WRONLY, 0) // a file that may not be written stays as it is
	if err != nil {
		return err
	}
	info, err := old.Stat()
	if err = errors.Join(err, old.Close()); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".amlflow-fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // it is gone when all went well
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// linesOf looks lines up in a text that was read already.
func linesOf(text []byte) diag.Lookup {
	lines := strings.Split(string(text), "\n")
	return func(_ string, n int) string {
		if n < 1 || n > len(lines) {
			return ""
		}
		return strings.TrimSuffix(lines[n-1], "\r")
	}
}
