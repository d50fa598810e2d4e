package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

// export is what a person wishes of the export of a run.
type export struct {
	to        string
	folder    bool
	artifacts bool
	force     bool
}

func (p *program) exportVerb() *cobra.Command {
	var x export
	v := &cobra.Command{
		Use: "export [RUN]", Short: "Write all that is known of a run into one file", Args: takes(0, 1), ValidArgsFunction: p.completeRuns,
		Long: `Export writes a run, the newest when none is named, into one .tar.gz: its record, plan,
events, results and the logs that are kept, with a README.txt that says what is what
and the digests of all files. It is read without amlflow. Exporting a run that has
ended again gives the same bytes. Secrets are masked.

The file is amlflow-RUN.tar.gz here, unless -o names another.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains([]string{"table", "json", "ndjson", "name"}, x.to) {
				return usage(fmt.Errorf("-o is the file to write here, and %q looks like a form of output: write -o ./%s for a file of this name", x.to, x.to))
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			e, id, err := p.runOf(ctx, args, p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			return p.export(ctx, e, id, x)
		},
	}
	f := v.Flags()
	f.StringVarP(&x.to, "output", "o", "", "the file to write, or the folder with --dir")
	f.BoolVar(&x.folder, "dir", false, "write a folder")
	f.BoolVar(&x.artifacts, "artifacts", false, "also what the stages made: models, files and folders")
	f.BoolVar(&x.force, "force", false, "replace what is there")
	return v
}

func (p *program) export(ctx context.Context, e *engine.Engine, id string, x export) error {
	name := "amlflow-" + id
	to := first(x.to, name)
	if x.to == "" && !x.folder {
		to += ".tar.gz"
	}
	if err := x.free(to); err != nil {
		return err
	}
	// Beside it, so that it can be moved into place.
	tmp, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, name)
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // it is made to be handed on
		return err
	}
	r, err := e.Export(ctx, id, dir, engine.Exporting{Artifacts: x.artifacts, Record: recordText, Build: version()})
	if err != nil {
		return err
	}
	if r.Status == target.Running {
		p.say("run %s goes on: this is how it stands", id)
	}
	if err := x.place(dir, tmp, name, to, r); err != nil {
		return err
	}
	p.print("%s", to)
	return nil
}

// free sees to it that nothing is replaced that should not be.
func (x export) free(to string) error {
	info, err := os.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !x.force:
		return ended{exitConflict, fmt.Errorf("%q is there already: name another with -o, or replace it with --force", to)}
	case info.IsDir() != x.folder:
		return ended{exitConflict, fmt.Errorf("%q is there, and --dir decides whether a file or a folder is replaced: remove it yourself", to)}
	case x.folder && !engine.IsExport(to):
		return ended{exitConflict, fmt.Errorf("%q is no export of a run, so that --force does not replace it: remove it yourself", to)}
	}
	return nil
}

// place moves what was written to its name, whole.
func (x export) place(dir, tmp, name, to string, r *flow.Progress) error {
	if x.folder {
		if x.force {
			_ = os.Rename(to, filepath.Join(tmp, "old"))
		}
		return os.Rename(dir, to)
	}
	file := filepath.Join(tmp, "archive")
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	at := r.Ended
	if at.IsZero() {
		at = r.Started
	}
	if err := errors.Join(engine.Pack(f, dir, name, at), f.Sync(), f.Close()); err != nil {
		return err
	}
	if x.force {
		return os.Rename(file, to)
	}
	return os.Link(file, to) // it refuses what came meanwhile
}

// recordText is the record of a run as a file.
func recordText(r *flow.Progress) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(recordOf(r))
	return b.Bytes(), err
}
