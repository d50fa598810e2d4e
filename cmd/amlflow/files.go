package main

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/snapshot"

	"github.com/spf13/cobra"
)

// planFiles shows what code a run would ship, and what it would leave out. It needs
// no whole plan: a folder that is too large to be taken is what people look at.
func (p *program) planFiles(cmd *cobra.Command, file string, c *choices) error {
	made, err := p.prepare(cmd, file, c, engine.ToCheck)
	if err != nil {
		return err
	}
	folders, err := made.CodeFolders(p.home)
	if err != nil {
		return err
	}
	if p.output == "json" {
		return p.json(map[string]any{"code": codeRecords(folders)})
	}
	for i, f := range folders {
		if i > 0 {
			p.print("")
		}
		p.showFiles(f)
	}
	return nil
}

// codeRecord is a code folder as machines read it.
type codeRecord struct {
	Folder  string          `json:"folder"`
	Stages  []string        `json:"stages"`
	Bytes   int64           `json:"bytes"`
	Ignores []string        `json:"ignores"` // the files that say what is left out
	Files   []snapshot.File `json:"files"`
	Left    []snapshot.File `json:"left"`
}

func codeRecords(folders []engine.CodeFolder) []codeRecord {
	all := []codeRecord{}
	for _, f := range folders {
		r := codeRecord{Folder: f.Folder, Stages: f.Stages, Ignores: append([]string{}, f.Ignores...), Files: []snapshot.File{}, Left: []snapshot.File{}}
		for _, file := range f.Files {
			if file.Left != nil {
				r.Left = append(r.Left, file)
				continue
			}
			r.Files = append(r.Files, file)
			r.Bytes += file.Size
		}
		all = append(all, r)
	}
	return all
}

func (p *program) showFiles(f engine.CodeFolder) {
	r := codeRecords([]engine.CodeFolder{f})[0]
	p.print("code in %s, for %s", p.paintOut(bold, clean(r.Folder)), strings.Join(r.Stages, ", "))
	p.print("")
	rows := [][]string{p.heading("FILE", "SIZE", "")}
	for _, file := range r.Files {
		mode := ""
		if file.Exec {
			mode = "executable"
		}
		rows = append(rows, []string{clean(file.Path), amount(file.Size), mode})
	}
	table(p.out, rows)
	p.print("")
	said := "no .amlflowignore or .gitignore says what to leave out"
	if len(r.Ignores) > 0 {
		said = "what is left out is said by " + clean(strings.Join(r.Ignores, ", "))
	}
	p.print("%s, %s; %s", count(len(r.Files), "file"), amount(r.Bytes), said)
	if len(r.Left) == 0 {
		return
	}
	p.print("")
	rows = [][]string{p.heading("LEFT OUT", "BY")}
	for _, file := range r.Left {
		by := "always"
		switch l := file.Left; {
		case l.File != "":
			by = fmt.Sprintf("%s:%d: %s", l.File, l.Line, l.Pattern)
		case l.Usual:
			by = "it describes runs: " + l.Pattern
		}
		rows = append(rows, []string{clean(file.Path), clean(by)})
	}
	table(p.out, rows)
}

// amount is a number of bytes as people say it.
func amount(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for ; value >= 1024 && unit < 3; unit++ {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %s", value, []string{"KiB", "MiB", "GiB", "TiB"}[unit])
}
