package main

import (
	"fmt"
	"io/fs"
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

func (p *program) templateVerb() *cobra.Command {
	return group("template", "Find, lock and update the templates that pipelines use", p.templateListVerb(), p.templateShowVerb(), p.templateAddVerb(), p.templateUpdateVerb(), p.templateVendorVerb())
}

// imported is the workspace of the current folder, with what finds its templates.
type imported struct {
	*imports.Importer
	workspace *schema.Workspace
	files     []string
	found     diag.Findings
}

// imports opens the workspace of the current folder; why says what may be fetched for it.
func (p *program) imports(cmd *cobra.Command, why engine.Purpose) (*imported, error) {
	w, err := p.workspace()
	if err != nil {
		return nil, err
	}
	im, found, err := engine.NewImporter(cmd.Context(), ".", w, engine.PrepareOptions{Home: p.home, Purpose: why})
	if err != nil {
		return nil, err
	}
	files, err := filesOfWorkspace(w.Dir)
	return &imported{im, w, files, found}, err
}

// filesOfWorkspace are its pipelines and templates, named from the current folder.
// Those below another workspace's file are not its own.
func filesOfWorkspace(dir string) ([]string, error) {
	var files []string
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(here, dir); err == nil && filepath.IsAbs(dir) {
		dir = rel
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && (strings.HasPrefix(d.Name(), ".") || isAWorkspace(path)):
			return fs.SkipDir
		case d.Type().IsRegular() && (strings.HasSuffix(path, pipelineSuffix) || strings.HasSuffix(path, templateSuffix)):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func isAWorkspace(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, schema.FileName))
	return err == nil
}

// wrong shows what is wrong with the files, and returns an error when that keeps a
// verb from its work.
func (p *program) wrong(found diag.Findings, sources []*schema.Source) error {
	files := fileLines()
	p.findings(p.err, found.Sort(), func(file string, n int) string {
		for _, s := range sources {
			if s.Name == file {
				return s.Line(n)
			}
		}
		return files(file, n)
	})
	if !found.Bad() {
		return nil
	}
	if p.output == "json" {
		if err := diag.JSON(p.out, found); err != nil {
			return err
		}
	}
	return silently(exitInvalid)
}

// save writes the lock, and says what changed in it.
func (p *program) save(im *imported) error {
	notes, err := im.Save()
	for _, note := range notes {
		p.say("%s", note)
	}
	return err
}

// gitRef reads an argument that must name a template of a repository.
func gitRef(text string) (schema.Ref, error) {
	r, bad := schema.ParseRef("template", text)
	if bad != nil {
		return r, usage(fmt.Errorf("%s: %s", bad.Message, bad.Hint))
	}
	if r.Repo == "" {
		return r, usage(fmt.Errorf("%q is not from git, so there is nothing to lock: write it after `uses`", text))
	}
	return r, nil
}

func (p *program) templateAddVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "add [REF]", Short: "Fetch a template from git, and lock its commit and content",
		Long: `Add fetches a template, such as
  git+https://host/team/templates.git//train.template.yaml@v1
and what it uses, and writes which commit and content they are into amlflow.lock.
Without REF it fetches what the lock names already, so that nothing needs the
network later.

-o json prints {"template","locked":[{"ref","commit","digest"}]}.`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := p.imports(cmd, engine.ToLook)
			if err != nil {
				return err
			}
			defer im.Close()
			if len(args) == 0 {
				return p.templateFetch(im)
			}
			return p.templateAdd(im, args[0])
		},
	}, "json")
}

type lockedJSON struct {
	Ref    string `json:"ref"`
	Commit string `json:"commit"`
	Digest string `json:"digest"`
}

func lockedRows(entries []schema.Locked) []lockedJSON {
	rows := []lockedJSON{}
	for _, e := range entries {
		rows = append(rows, lockedJSON(e))
	}
	return rows
}

func (p *program) templateFetch(im *imported) error {
	found, have := im.FetchAll()
	if err := p.wrong(append(im.found, found...), nil); err != nil {
		return err
	}
	if p.output == "json" {
		return p.json(map[string]any{"template": nil, "locked": lockedRows(have)})
	}
	p.say("%s here, as locked", count(len(have), "template"))
	return nil
}

func (p *program) templateAdd(im *imported, text string) error {
	r, err := gitRef(text)
	if err != nil {
		return err
	}
	t, found := im.Add(r)
	var sources []*schema.Source
	if t != nil {
		sources = append(t.Sources(), t.Source)
		found = append(found, t.Check(im.workspace)...)
	}
	if err := p.wrong(append(im.found, found...), sources); err != nil {
		return err
	}
	if err := p.save(im); err != nil {
		return err
	}
	e, _ := im.Lock().Find(r.String())
	if p.output == "json" {
		return p.json(map[string]any{"template": t.Name, "locked": []lockedJSON{lockedJSON(e)}})
	}
	p.print("%s is %s at commit %s", t.Name, r, imports.Short(e.Commit))
	return nil
}

func (p *program) templateUpdateVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "update [REF…]", Short: "Lock what tags and branches lead to now",
		Long: `Update looks up the templates from git that the workspace uses, or only those
that are named, and writes the commits that their tags and branches lead to now
into amlflow.lock. It says what changed in their parameters.

-o json prints {"changed":[{"ref","from","to","params":[…]}]}.`,
		Args: takes(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := p.imports(cmd, engine.ToLook)
			if err != nil {
				return err
			}
			defer im.Close()
			return p.templateUpdate(im, args)
		},
	}, "json")
}

func (p *program) templateUpdate(im *imported, args []string) error {
	var refs []schema.Ref
	for _, text := range args {
		r, err := gitRef(text)
		if err != nil {
			return err
		}
		refs = append(refs, r)
	}
	changes, s, err := im.Update(im.files, refs)
	if err != nil {
		return err
	}
	if err := p.wrong(append(im.found, s.Findings...), s.Sources); err != nil {
		return err
	}
	if _, err := im.Save(); err != nil {
		return err
	}
	if p.output == "json" {
		return p.json(map[string]any{"changed": changedRows(changes)})
	}
	for _, c := range changes {
		p.print("%s  %s -> %s", c.Ref, or(imports.Short(c.Old.Commit), "not locked"), or(imports.Short(c.New.Commit), "no longer used"))
		for _, line := range c.Params {
			p.print("  %s", line)
		}
	}
	if len(changes) == 0 {
		p.say("nothing has changed")
	}
	return nil
}

type changedJSON struct {
	Ref    string   `json:"ref"`
	From   *string  `json:"from"`
	To     *string  `json:"to"`
	Params []string `json:"params"`
}

func changedRows(changes []imports.Change) []changedJSON {
	rows := []changedJSON{}
	for _, c := range changes {
		row := changedJSON{Ref: c.Ref, Params: append([]string{}, c.Params...)}
		if c.Old.Commit != "" {
			row.From = &c.Old.Commit
		}
		if c.New.Commit != "" {
			row.To = &c.New.Commit
		}
		rows = append(rows, row)
	}
	return rows
}

func (p *program) templateVendorVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "vendor [FOLDER]", Short: "Copy the templates from git into the repository, and use the copies",
		Long: `Vendor copies every template from git that the workspace uses, with what it ships
and uses, into FOLDER (templates/vendor), and has pipelines and templates name
the copies. Nothing else in the files changes.`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := p.imports(cmd, engine.ToLook)
			if err != nil {
				return err
			}
			defer im.Close()
			folder := filepath.Join("templates", "vendor")
			if len(args) == 1 {
				folder = args[0]
			}
			return p.templateVendor(im, folder)
		},
	})
}

func (p *program) templateVendor(im *imported, folder string) error {
	s, err := im.Survey(im.files)
	if err != nil {
		return err
	}
	if err := p.wrong(append(im.found, s.Findings...), s.Sources); err != nil {
		return err
	}
	done, err := im.Vendor(s, folder)
	if err != nil {
		return err
	}
	for _, file := range append(done.Copied, done.Edited...) {
		p.print("%s", file)
	}
	for _, u := range done.Left {
		p.say("%s: write `uses: %s` here: it is not written in one piece, so it was left as it is", u.At, u.Ref)
	}
	if err := p.save(im); err != nil {
		return err
	}
	if len(done.Left) > 0 {
		return silently(exitInvalid)
	}
	p.say("%s, %s", count(len(done.Copied), "copied file"), count(len(done.Edited), "edited file"))
	return nil
}

// builtinTemplate reads a template that comes with this program.
func builtinTemplate(name string) (*schema.Template, bool) {
	text, err := fs.ReadFile(specs.Templates(), name+templateSuffix)
	if err != nil {
		return nil, false
	}
	t, found := schema.ReadTemplate("builtin/"+name, text)
	return t, !found.Bad()
}
