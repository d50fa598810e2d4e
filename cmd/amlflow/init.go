package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed starter
var starter embed.FS

func (p *program) initVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "init [FOLDER]", Short: "Write a small pipeline to begin with",
		Long: `Init writes a workspace, a pipeline that trains and serves a small model, and its
scripts into a folder. It replaces no file.`,
		Args: takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return p.init(dir)
		},
	})
}

func (p *program) init(dir string) error {
	files, err := fs.Sub(starter, "starter")
	if err != nil {
		return err
	}
	names, err := fs.Glob(files, "*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%q is there already, and nothing was written: choose another folder: %w", filepath.Join(dir, name), fs.ErrExist)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		if err := place(files, name, filepath.Join(dir, name)); err != nil {
			return err
		}
		p.print("%s", filepath.Join(dir, name))
	}
	p.say("run it:  %s run %s", invocation(), filepath.Join(dir, "hello"+pipelineSuffix))
	return nil
}

// place copies one file of ours to where none was before.
func place(files fs.FS, name, to string) error {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
