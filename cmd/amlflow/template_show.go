package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/specs"

	"github.com/spf13/cobra"
)

func (p *program) templateListVerb() *cobra.Command {
	builtin := false
	v := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the templates that the workspace uses, and where", Args: takes(0, 0),
		Long: `List reads every pipeline and template of the workspace, and shows which templates
they use, at which commit, and where. It needs no network.

-o json prints {"templates":[{"ref","commit","digest","uses":[{"file","line",
"column"}]}],"unused":[…]}; -o name the references.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if builtin {
				return p.listBuiltins()
			}
			im, err := p.imports(cmd, engine.ToCheck)
			if err != nil {
				return err
			}
			defer im.Close()
			return p.listTemplates(im)
		},
	}
	v.Flags().BoolVar(&builtin, "builtin", false, "list the templates that come with amlflow")
	return p.prints(v, "json", "name")
}

func (p *program) listBuiltins() error {
	type row struct {
		Ref         string `json:"ref"`
		Description string `json:"description"`
	}
	list, rows := []row{}, [][]string{p.heading("TEMPLATE", "DOES")}
	for _, name := range specs.Names() {
		if t, ok := builtinTemplate(name); ok {
			first, _, _ := strings.Cut(t.Description, ". ")
			list = append(list, row{"builtin/" + name, t.Description})
			rows = append(rows, []string{"builtin/" + name, strings.TrimSuffix(first, ".")})
		}
	}
	switch p.output {
	case "json":
		return p.json(map[string]any{"templates": list})
	case "name":
		for _, r := range list {
			p.print("%s", r.Ref)
		}
		return nil
	}
	table(p.out, rows)
	return nil
}

type templateRow struct {
	Ref    string     `json:"ref"`
	Commit *string    `json:"commit"`
	Digest *string    `json:"digest"`
	Uses   []diag.Pos `json:"uses"`
}

// templateRows gathers the places by what they name, in the order of the files.
func templateRows(uses []imports.Use) []*templateRow {
	var rows []*templateRow
	at := map[string]*templateRow{}
	for _, u := range uses {
		if u.Kind != "template" && !u.Git {
			continue
		}
		r := at[u.Ref]
		if r == nil {
			r = &templateRow{Ref: u.Ref, Uses: []diag.Pos{}}
			if e := u.Locked; e.Commit != "" {
				r.Commit = &e.Commit
				r.Digest = &e.Digest
			}
			at[u.Ref] = r
			rows = append(rows, r)
		}
		r.Uses = append(r.Uses, u.At)
	}
	return rows
}

func (p *program) listTemplates(im *imported) error {
	s, err := im.Survey(im.files)
	if err != nil {
		return err
	}
	rows, unused := templateRows(s.Uses), im.Unused()
	if found := append(im.found, s.Findings...); found.Bad() {
		return p.wrong(found, s.Sources)
	}
	switch p.output {
	case "json":
		return p.json(map[string]any{"templates": append([]*templateRow{}, rows...), "unused": lockedRows(unused)})
	case "name":
		for _, r := range rows {
			p.print("%s", r.Ref)
		}
		return nil
	}
	out := [][]string{p.heading("TEMPLATE", "COMMIT", "USED BY")}
	for _, r := range rows {
		commit := "-"
		if r.Commit != nil {
			commit = imports.Short(*r.Commit)
		}
		for i, at := range r.Uses {
			where := fmt.Sprintf("%s:%d", at.File, at.Line)
			if i > 0 {
				out = append(out, []string{"", "", where})
				continue
			}
			out = append(out, []string{r.Ref, commit, where})
		}
	}
	table(p.out, out)
	for _, e := range unused {
		p.say("%s nothing uses %s: remove its block from %s", p.paintErr(yellow, "warning:"), e.Ref, schema.LockName)
	}
	return nil
}

func (p *program) templateShowVerb() *cobra.Command {
	v := &cobra.Command{
		Use: "show REF", Short: "Show what a template does, and its parameters",
		Long: `Show prints the name, description, parameters and source of a template: a path,
builtin/NAME, or a reference into a git repository, which is fetched when it is
not here, and not locked.

-o json prints {"name","description","source","commit","params":[{"name","type",
"default","description","required"}],"outputs","metrics"}.`,
		Args: takes(1, 1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, name := range specs.Names() {
				names = append(names, "builtin/"+name)
			}
			return names, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := p.imports(cmd, engine.ToLook)
			if err != nil {
				return err
			}
			defer im.Close()
			return p.showTemplate(im, args[0])
		},
	}
	return p.prints(v, "json")
}

func (p *program) showTemplate(im *imported, text string) error {
	t, found, err := namedTemplate(im, text)
	if err != nil {
		return err
	}
	if t == nil || found.Bad() {
		var sources []*schema.Source
		if t != nil {
			sources = append(t.Sources(), t.Source)
		}
		return p.wrong(found, sources)
	}
	e, _ := im.Lock().Find(t.Source.Name)
	if p.output == "json" {
		return p.json(shownJSON(t, e.Commit))
	}
	p.print("%s", p.paintOut(bold, t.Name))
	if t.Description != "" {
		p.print("%s", strings.TrimSpace(t.Description))
	}
	p.print("")
	p.print("source   %s", t.Source.Name)
	if e.Commit != "" {
		p.print("commit   %s", e.Commit)
	}
	for _, list := range []struct {
		title string
		of    []schema.Declared
	}{{"outputs", t.Stage.Outputs}, {"metrics", t.Stage.Metrics}} {
		if text := declaredWords(list.of); text != "" {
			p.print("%-8s %s", list.title, text)
		}
	}
	p.showParams(t.Params)
	return nil
}

// namedTemplate reads what a person named: files by any path, others by reference.
func namedTemplate(im *imported, text string) (*schema.Template, diag.Findings, error) {
	if info, err := os.Stat(text); err == nil && info.Mode().IsRegular() {
		data, err := engine.ReadFile(text)
		if err != nil {
			return nil, nil, err
		}
		t, found := schema.ReadTemplate(filepath.Clean(text), data)
		return t, found, nil
	}
	r, bad := schema.ParseRef("template", text)
	if bad != nil {
		return nil, nil, usage(fmt.Errorf("%s: %s", bad.Message, bad.Hint))
	}
	t, found := im.Add(r)
	return t, found, nil
}

func declaredWords(list []schema.Declared) string {
	var words []string
	for _, d := range list {
		words = append(words, fmt.Sprintf("%s (%s)", d.Name, d.Type))
	}
	return join(words)
}

func (p *program) showParams(params []schema.Param) {
	if len(params) == 0 {
		return
	}
	p.print("")
	rows := [][]string{p.heading("PARAMETER", "TYPE", "DEFAULT", "MEANS")}
	for _, q := range params {
		given := "(must be given)"
		if q.Default != nil {
			given = value(q.Default)
			if given == "" {
				given = `""`
			}
		}
		rows = append(rows, []string{q.Name, string(q.Type), given, clean(strings.Join(strings.Fields(q.Description), " "))})
	}
	table(p.out, rows)
}

func shownJSON(t *schema.Template, commit string) any {
	type param struct {
		Name        string      `json:"name"`
		Type        schema.Type `json:"type"`
		Required    bool        `json:"required"`
		Default     any         `json:"default"`
		Description string      `json:"description"`
	}
	params := []param{}
	for _, q := range t.Params {
		params = append(params, param{q.Name, q.Type, q.Default == nil, q.Default, q.Description})
	}
	types := func(list []schema.Declared) map[string]schema.Type {
		m := map[string]schema.Type{}
		for _, d := range list {
			m[d.Name] = d.Type
		}
		return m
	}
	var at *string
	if commit != "" {
		at = &commit
	}
	return map[string]any{"name": t.Name, "description": t.Description, "source": t.Source.Name, "commit": at, "params": params, "outputs": types(t.Stage.Outputs), "metrics": types(t.Stage.Metrics)}
}
