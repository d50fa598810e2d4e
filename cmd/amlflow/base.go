package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/commit"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// base is what a pipeline is compared with.
type base struct {
	name string // for people
	file string // the pipeline
	tmp  string // a folder to remove afterwards; "" when there is none
}

func (b base) remove() {
	if b.tmp != "" {
		_ = os.RemoveAll(b.tmp)
	}
}

// findBase finds what a person names: a file or folder, else a commit. What may be
// both is refused.
func findBase(ctx context.Context, file, given string) (base, error) {
	info, err := os.Stat(given)
	if given == "" || err != nil {
		return baseOfCommit(ctx, file, first(given, "HEAD"))
	}
	if filepath.Base(given) == given && given != "." && given != ".." && isCommit(ctx, file, given) {
		return base{}, ended{exitConflict, fmt.Errorf("%q is a commit, and a file or folder too: write ./%s for that, or refs/heads/%s", given, given, given)}
	}
	if info.IsDir() {
		return base{name: given, file: filepath.Join(given, filepath.Base(file))}, nil
	}
	return base{name: given, file: given}, nil
}

func isCommit(ctx context.Context, file, name string) bool {
	r, err := commit.Of(ctx, filepath.Dir(file))
	if err != nil {
		return false
	}
	_, err = r.Resolve(ctx, name)
	return err == nil
}

// baseOfCommit writes the files of a commit into a folder of their own.
func baseOfCommit(ctx context.Context, file, name string) (b base, err error) {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return b, err
	}
	r, err := commit.Of(ctx, dir)
	if err != nil {
		return b, fmt.Errorf("%w: name another file or folder with --base", err)
	}
	id, err := r.Resolve(ctx, name)
	if err != nil {
		return b, err
	}
	within, err := filepath.Rel(r.Top, dir)
	if err != nil {
		return b, err
	}
	if b.tmp, err = os.MkdirTemp("", "amlflow-diff-*"); err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			b.remove()
		}
	}()
	top := filepath.Join(b.tmp, "tree")
	b.name, b.file = fmt.Sprintf("%s (%.10s)", name, id), filepath.Join(top, within, filepath.Base(file))
	if err = os.Mkdir(top, 0o700); err == nil {
		err = r.Write(ctx, id, top)
	}
	if err == nil {
		err = keepWorkspace(dir, r.Top, b.tmp)
	}
	return b, err
}

// keepWorkspace puts the workspace's file above the files of the commit when it lies
// above the repository: it is the same for both.
func keepWorkspace(dir, top, above string) error {
	path, ok := schema.FindWorkspace(dir)
	if !ok {
		return nil
	}
	if rel, err := filepath.Rel(top, path); err == nil && filepath.IsLocal(rel) {
		return nil
	}
	text, err := engine.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(above, schema.FileName), text, 0o600)
}

// plan makes the plan of the base; nil, with the reason, when there is none to be
// made. An error says that something else stood in the way.
func (b base) plan(ctx context.Context, o engine.PrepareOptions) (*plan.Plan, string, error) {
	text, err := engine.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Sprintf("%s has no file %s", b.name, filepath.Base(b.file)), nil
	} else if err != nil {
		return nil, "", err
	}
	known, _ := schema.ReadPipeline(b.file, text)
	made, findings, err := engine.Prepare(ctx, b.file, onlyKnown(o, known))
	if err != nil {
		return nil, "", err
	}
	for _, f := range findings {
		if f.Severity == diag.Error {
			return nil, fmt.Sprintf("%s has mistakes, the first on line %d of %s: %s", b.name, f.Line, filepath.Base(f.File), strings.ReplaceAll(f.Message, b.tmp+string(filepath.Separator), "")), nil
		}
	}
	return made.Plan, "", nil
}

// onlyKnown leaves out what was given for params and stages that a pipeline does not
// have: the other one may have got them since.
func onlyKnown(o engine.PrepareOptions, p *schema.Pipeline) engine.PrepareOptions {
	if p == nil {
		return o
	}
	params, targets := map[string]any{}, map[string]string{}
	for _, param := range p.Params {
		if v, ok := o.Params[param.Name]; ok {
			params[param.Name] = v
		}
	}
	stages := []string{""}
	for _, s := range slices.Concat(p.Stages, p.Finally) {
		stages = append(stages, s.Name)
	}
	for name, to := range o.Targets {
		if slices.Contains(stages, name) {
			targets[name] = to
		}
	}
	o.Params, o.Targets = params, targets
	return o
}
