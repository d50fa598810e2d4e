package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/snapshot"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
)

// PrepareOptions is what a person decides about a pipeline besides its files.
type PrepareOptions struct {
	Profile string
	Params  map[string]any    // text is read as the parameter's type
	Targets map[string]string // stage name to target name; "" stands for every stage
	NoCache map[string]bool   // stages that do not use earlier results; "" stands for every stage
	Drivers map[string]target.Driver
	Home    string  // the state folder
	Purpose Purpose // what the plan is wanted for
	Locked  bool    // refuse templates from git that the lock does not have
	Offline bool    // and those that are not on this computer
}

// Purpose says how far Prepare goes.
type Purpose int

// The purposes: each does what the one before it does, and more.
const (
	ToCheck    Purpose = iota // find mistakes; parameters need not be given
	ToRehearse                // and make the plan, without looking at the code
	ToLook                    // and name the code, without keeping it
	ToRun                     // and keep the code in the artifact store
)

// Prepared is a pipeline with the files it was read from, ready to be run.
type Prepared struct {
	File      string           // the pipeline's, as it was given
	Pipeline  *schema.Pipeline // nil when the file could not be understood at all
	Workspace *schema.Workspace
	Plan      *plan.Plan // nil when there are mistakes
	Store     string     // the folder of the artifact store
	Notes     []string   // what was written beside the files, for the person to know

	sources []*schema.Source // what the pipeline uses; see link
}

// maxFile bounds what is read of a file before its own checks refuse it.
const maxFile = 64 << 20

// Prepare reads a pipeline and its workspace, checks them, takes the code of the
// stages and makes the plan. Findings are the mistakes that the files hold; an
// error says that something else stood in the way.
func Prepare(ctx context.Context, file string, o PrepareOptions) (*Prepared, diag.Findings, error) {
	p := &Prepared{File: file}
	findings, err := p.read(ctx, o)
	if err != nil {
		return p, nil, err
	}
	dir := filepath.Dir(file)
	if p.Pipeline != nil {
		findings = append(findings, schema.Check(p.Pipeline, p.Workspace, os.DirFS(dir))...)
	}
	if findings.Bad() || p.Pipeline == nil {
		return p, findings.Sort(), nil
	}
	p.Store = StoreOf(p.Workspace, o.Home)
	choices := plan.Options{Profile: o.Profile, Params: o.Params, Targets: o.Targets, NoCache: o.NoCache, Drivers: o.Drivers, Files: os.DirFS(dir)}
	if o.Purpose > ToRehearse {
		choices.Models = newModels(registry.Open(p.Store))
	}
	made, more := plan.Compile(p.Pipeline, p.Workspace, choices) // mistakes first: taking the code may take long
	if o.Purpose == ToCheck {
		more = withoutMissing(more)
	}
	if findings = append(findings, more...); findings.Bad() || o.Purpose == ToCheck {
		return p, findings.Sort(), nil
	}
	if o.Purpose == ToRehearse {
		p.Plan = made
		return p, findings.Sort(), nil
	}
	code, bad, err := p.snapshot(ctx, o)
	if findings = append(findings, bad...); err != nil || bad.Bad() {
		return p, findings.Sort(), err
	}
	given, bad, err := p.given(ctx, made, o.Purpose)
	if findings = append(findings, bad...); err != nil || bad.Bad() {
		return p, findings.Sort(), err
	}
	made.Attach(code, given)
	p.Plan = made
	return p, findings.Sort(), nil
}

// CheckTargets holds every target of a workspace against the drivers.
func CheckTargets(w *schema.Workspace, drivers map[string]target.Driver) diag.Findings {
	var out diag.Findings
	for _, t := range w.Targets {
		out = append(out, plan.CheckTarget(w, t, drivers)...)
	}
	return out.Sort()
}

// read takes in the pipeline and the workspace it belongs to.
func (p *Prepared) read(ctx context.Context, o PrepareOptions) (diag.Findings, error) {
	text, err := ReadFile(p.File)
	if err != nil {
		return nil, err
	}
	var findings, more diag.Findings
	p.Pipeline, findings = schema.ReadPipeline(p.File, text)
	p.Workspace, more, err = OpenWorkspace(filepath.Dir(p.File))
	if err != nil {
		return nil, err
	}
	linked, err := p.link(ctx, o)
	return append(append(findings, more...), linked...), err
}

// OpenWorkspace reads the workspace that dir belongs to, or returns the default
// one when no amlflow.yaml is there or above.
func OpenWorkspace(dir string) (*schema.Workspace, diag.Findings, error) {
	path, ok := schema.FindWorkspace(dir)
	if !ok {
		return schema.DefaultWorkspace(dir), nil, nil
	}
	text, err := ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	w, findings := schema.ReadWorkspace(Shorter(path), text)
	if w == nil {
		w = schema.DefaultWorkspace(dir)
	}
	w.Dir = filepath.Dir(path)
	return w, findings, nil
}

// ReadFile reads a file that a person named, and no more of it than any check
// would accept.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, absent(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a file: name a file ending in .pipeline.yaml: %w", path, fs.ErrInvalid)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// absent says which file is not there, and which one was perhaps meant.
func absent(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var names []string
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	cure := "check the path"
	if n := diag.Nearest(filepath.Base(path), names); n != "" {
		cure = fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(path), n))
	}
	return fmt.Errorf("there is no file %q: %s: %w", path, cure, fs.ErrNotExist)
}

// StoreOf is the artifact store that a workspace asks for.
func StoreOf(w *schema.Workspace, home string) string {
	if w == nil || w.Store == "" {
		return Options{Home: home}.StoreDir()
	}
	store := w.Store
	if !filepath.IsAbs(store) {
		store = filepath.Join(w.Dir, store)
	}
	if abs, err := filepath.Abs(store); err == nil {
		return abs
	}
	return store
}

// snapshot names every distinct code folder of the stages.
func (p *Prepared) snapshot(ctx context.Context, o PrepareOptions) (map[plan.Folder]target.Ref, diag.Findings, error) {
	code := map[plan.Folder]target.Ref{}
	blobs, err := p.blobs(o.Purpose)
	if err != nil {
		return nil, nil, err
	}
	var findings diag.Findings
	taken := map[string]target.Ref{} // two names of one folder are one
	for _, h := range plan.Homes(p.Pipeline) {
		if ref, ok := taken[p.called(h.Folder)]; ok {
			code[h.Folder] = ref
			continue
		}
		ref, err := snapshot.Take(ctx, blobs, p.place(h.Folder), o.Home, p.Store)
		if errors.Is(err, target.ErrPermanent) {
			findings = append(findings, unfit(h, err))
		} else if err != nil {
			return nil, nil, err
		}
		code[h.Folder], taken[p.called(h.Folder)] = ref, ref
	}
	return code, findings, nil
}

// blobs is where what a run needs is kept: nowhere, unless it is to be run.
func (p *Prepared) blobs(why Purpose) (target.Blobs, error) {
	if why != ToRun {
		return blob.Digests{}, nil
	}
	return blob.OpenFolder(p.Store)
}

// given takes in the files and folders that parameters were given.
func (p *Prepared) given(ctx context.Context, made *plan.Plan, why Purpose) (map[string]target.Ref, diag.Findings, error) {
	refs := map[string]target.Ref{}
	var findings diag.Findings
	for _, param := range p.Pipeline.Params {
		if !param.Type.IsArtifact() {
			continue
		}
		blobs, err := p.blobs(why)
		if err != nil {
			return nil, nil, err
		}
		path := fmt.Sprint(made.Params[param.Name])
		ref, err := take(ctx, blobs, path, param.Type)
		if name, which, named := registry.Parse(path); named && errors.Is(err, errAbsent) {
			ref, err = p.registered(name, which)
		}
		if err != nil {
			findings = append(findings, diag.Finding{Pos: p.Pipeline.Source.KeyAt(param.Path), Path: param.Path, Width: len(param.Name), Severity: diag.Error, Code: "param-value",
				Message: fmt.Sprintf("the parameter %q cannot take %q: %v", param.Name, path, err), Hint: fmt.Sprintf("give the path of a %s with -p %s=PATH, or a model of the registry with -p %s=NAME@VERSION", param.Type, param.Name, param.Name)})
		}
		refs[param.Name] = ref
	}
	return refs, findings, nil
}

var errAbsent = errors.New("it is not there")

// take stores one file or folder, and returns its name.
func take(ctx context.Context, blobs target.Blobs, path string, t schema.Type) (target.Ref, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errAbsent
	case err != nil:
		return "", err
	case t == schema.File && !info.Mode().IsRegular():
		return "", errors.New("it is not a file")
	case t == schema.Folder && !info.IsDir():
		return "", errors.New("it is not a folder")
	case info.IsDir():
		return target.PutTree(ctx, blobs, path, nil)
	}
	return target.PutFile(ctx, blobs, path)
}

// unfit is a code folder that cannot be taken as it is.
func unfit(h *plan.Home, err error) diag.Finding {
	s := h.Pipeline.Source
	at := h.Stage.At("code")
	if _, said := s.Value(at); !said {
		at = h.Stage.Path
	}
	return diag.Finding{
		Pos: s.KeyAt(at), Path: at, Severity: diag.Error, Code: "bad-code",
		Message: strings.ReplaceAll(err.Error(), ": "+target.ErrPermanent.Error(), ""),
		Hint:    "list it in .amlflowignore, or name another folder in `code`",
	}
}

// withoutMissing drops that parameters were not given: a pipeline that wants some
// is not wrong for that.
func withoutMissing(fs diag.Findings) diag.Findings {
	var out diag.Findings
	for _, f := range fs {
		if f.Code != "missing-param" {
			out = append(out, f)
		}
	}
	return out
}

// Line is the text of a line of the files that were read, for showing findings.
func (p *Prepared) Line(file string, n int) string {
	var own []*schema.Source
	if p.Pipeline != nil {
		own = append(own, p.Pipeline.Source)
	}
	if p.Workspace != nil {
		own = append(own, p.Workspace.Source)
	}
	return lineIn(append(own, p.sources...), file, n)
}

// Shorter is a path as a person would write it from the current folder.
func Shorter(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, abs); err == nil && len(rel) < len(abs) {
		return rel
	}
	return abs
}
