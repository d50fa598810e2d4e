package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// link reads the templates and pipelines that the pipeline uses. To check and to
// rehearse, nothing is fetched and nothing is written; otherwise what the lock lacks is added to it.
func (p *Prepared) link(ctx context.Context, o PrepareOptions) (diag.Findings, error) {
	im, findings, err := NewImporter(ctx, filepath.Dir(p.File), p.Workspace, o)
	if err != nil {
		return nil, err
	}
	linked := p.Pipeline.Link(im)
	p.sources = append(p.Pipeline.Sources(), im.Lock().Source)
	if !linked.Bad() && !findings.Bad() {
		p.Notes, err = im.Save()
	}
	return append(findings, linked...), errors.Join(err, im.Close())
}

// NewImporter finds what files of a folder in a workspace use. It is to be closed.
func NewImporter(ctx context.Context, dir string, w *schema.Workspace, o PrepareOptions) (*imports.Importer, diag.Findings, error) {
	return imports.New(ctx, imports.Options{Dir: dir, Workspace: w.Dir, Home: o.Home, Fetch: o.Purpose > ToRehearse, Locked: o.Locked, Offline: o.Offline})
}

// CheckTemplate finds the mistakes of a template file by itself, and looks up the
// lines that they are in.
func CheckTemplate(ctx context.Context, file string, o PrepareOptions) (diag.Findings, diag.Lookup, error) {
	text, err := ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Dir(file)
	w, findings, err := OpenWorkspace(dir)
	if err != nil {
		return nil, nil, err
	}
	t, found := schema.ReadTemplate(file, text)
	im, more, err := NewImporter(ctx, dir, w, o)
	if err != nil {
		return nil, nil, err
	}
	t.Import.Files = os.DirFS(dir)
	findings = append(findings, append(found, more...)...)
	findings = append(findings, t.Link(im)...)
	findings = append(findings, t.Check(w)...)
	sources := append([]*schema.Source{t.Source, w.Source, im.Lock().Source}, t.Sources()...)
	return findings.Sort(), func(file string, n int) string { return lineIn(sources, file, n) }, im.Close()
}

// lineIn is a line of the source of that name.
func lineIn(sources []*schema.Source, file string, n int) string {
	for _, s := range sources {
		if s != nil && s.Name == file {
			return s.Line(n)
		}
	}
	return ""
}
