package schema

import "github.com/amlflow/amlflow/schema/diag"

// Template is a template file as it was written: one stage and what it must be given.
type Template struct {
	Source      *Source
	Name        string
	Description string
	Params      []Param
	Stage       Stage // Path is "/stage"

	Import Import // where the file came from; see Link

	alone   *Pipeline // see Alone
	sources []*Source // see Sources
}

// ReadTemplate reads a template file; see ReadPipeline.
func ReadTemplate(name string, data []byte) (*Template, diag.Findings) {
	s, fs := Read(name, data)
	fs = append(fs, s.checkShape("template", templateForm())...)
	t := &Template{Source: s, Name: s.text("/template"), Description: s.text("/description"), Params: s.params()}
	t.Stage = s.stage("/stage", t.Name)
	t.alone = &Pipeline{Source: s, Name: t.Name, Params: t.Params, Stages: []Stage{t.Stage}, scope: &scopeOnce{}, alone: true, broken: fs.Bad()}
	return t, fs.Sort()
}

// Alone is the template seen as a pipeline of one stage that sees nothing but the
// parameters. This is how it is checked.
func (t *Template) Alone() *Pipeline {
	t.alone.Stages[0] = t.Stage // it may have been linked since it was read
	t.alone.Import = t.Import
	return t.alone
}
