package imports

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// Use is one place where a file names another.
type Use struct {
	Ref    string        // of a template from git or of ours as the lock has it, else the file's name
	Kind   string        // "template" or "pipeline"
	Git    bool          // the lock says what it is
	Locked schema.Locked // of git
	At     diag.Pos      // where it is said
	Path   string        // and the value's JSON pointer there
	From   schema.Import // of the file that says it

	name string
	in   schema.Import
}

// Survey is what the files of a workspace use, directly and by each other.
type Survey struct {
	Uses     []Use
	Findings diag.Findings
	Sources  []*schema.Source

	seen map[any]bool
}

// Survey reads pipelines and templates and what they use.
func (im *Importer) Survey(files []string) (*Survey, error) {
	s := &Survey{seen: map[any]bool{}}
	for _, file := range files {
		text, err := readOwn(file)
		if err != nil {
			return nil, err
		}
		here, err := im.For(filepath.Dir(file))
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(file, suffixes["template"]) {
			t, found := schema.ReadTemplate(file, text)
			s.Findings = append(s.Findings, append(found, t.Link(here)...)...)
			s.Sources = append(append(s.Sources, t.Source), t.Sources()...)
			s.stage(im, t.Source, &t.Stage, t.Import)
			continue
		}
		p, found := schema.ReadPipeline(file, text)
		s.Findings = append(s.Findings, append(found, p.Link(here)...)...)
		s.Sources = append(append(s.Sources, p.Source), p.Sources()...)
		s.pipeline(im, p)
	}
	s.Findings = s.Findings.Sort()
	return s, nil
}

func readOwn(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxText))
}

func (s *Survey) pipeline(im *Importer, p *schema.Pipeline) {
	for _, list := range [][]schema.Stage{p.Stages, p.Finally} {
		for i := range list {
			s.stage(im, p.Source, &list[i], p.Import)
		}
	}
}

// stage notes what a stage names, and goes on into it.
func (s *Survey) stage(im *Importer, source *schema.Source, st *schema.Stage, from schema.Import) {
	switch {
	case st.Template != nil:
		s.use(im, Use{Kind: "template", At: source.At(st.Path + "/uses"), Path: st.Path + "/uses", From: from, name: st.Template.Source.Name, in: st.Template.Import})
		if !s.seen[st.Template] {
			s.seen[st.Template] = true
			s.stage(im, st.Template.Source, &st.Template.Stage, st.Template.Import)
		}
	case st.Nested != nil:
		s.use(im, Use{Kind: "pipeline", At: source.At(st.Path + "/pipeline"), Path: st.Path + "/pipeline", From: from, name: st.Nested.Source.Name, in: st.Nested.Import})
		if !s.seen[st.Nested] {
			s.seen[st.Nested] = true
			s.pipeline(im, st.Nested)
		}
	}
}

// use adds a place once, also when several files lead to it.
func (s *Survey) use(im *Importer, u Use) {
	if s.seen[u.At] {
		return
	}
	s.seen[u.At] = true
	u.Ref = u.name
	if at, ok := u.in.Origin.(origin); ok && at.ref != nil {
		u.Ref, u.Git, u.Locked = at.ref.String(), true, im.seen[at.ref.String()]
	}
	s.Uses = append(s.Uses, u)
}

// Unused are the entries of the lock that nothing has used since it was read.
func (im *Importer) Unused() []schema.Locked {
	var out []schema.Locked
	for _, e := range im.lock.Entries {
		if _, used := im.seen[e.Ref]; !used {
			out = append(out, e)
		}
	}
	return out
}

// Add finds a template, with all that it uses, for the lock to have it.
func (im *Importer) Add(r schema.Ref) (*schema.Template, diag.Findings) {
	name, text, in, problem := im.Import("template", written(r), schema.Import{})
	if problem != nil {
		problem.Pos = diag.Pos{File: r.String(), Line: 1, Col: 1}
		return nil, diag.Findings{*problem}
	}
	t, found := schema.ReadTemplate(name, text)
	t.Import = in
	return t, append(found, t.Link(im)...).Sort()
}

// written is a reference as a file says it.
func written(r schema.Ref) string {
	if text := r.String(); r.Path == "" || strings.HasPrefix(text, "../") {
		return text
	}
	return "./" + r.Path
}

// FetchAll has every entry of the lock on this computer.
func (im *Importer) FetchAll() (diag.Findings, []schema.Locked) {
	var found diag.Findings
	for _, e := range im.lock.Entries {
		r, bad := schema.ParseRef("template", e.Ref)
		if bad == nil {
			bad = im.ensure(kindOf(r), r, e)
		}
		if bad != nil {
			bad.Pos = diag.Pos{File: im.shown(im.file), Line: 1, Col: 1}
			if s := im.lock.Source; s != nil {
				bad.Path = "/templates/" + strings.ReplaceAll(strings.ReplaceAll(e.Ref, "~", "~0"), "/", "~1")
				bad.Pos, bad.Width = s.KeyAt(bad.Path), s.KeyWidth(bad.Path)
			}
			found = append(found, *bad)
		}
	}
	return found.Sort(), im.lock.Entries
}

// kindOf guesses from its name what a file of a repository is.
func kindOf(r schema.Ref) string {
	if strings.HasSuffix(r.Inside, suffixes["pipeline"]) {
		return "pipeline"
	}
	return "template"
}
