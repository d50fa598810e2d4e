package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// TargetUse is a place in the files of a workspace that needs a target: a stage, or a
// profile that binds a name to it.
type TargetUse struct {
	At      diag.Pos
	Stage   string // of a pipeline or template
	Implied bool   // the stage says no target, and so means local
	Profile string // or the profile
	Name    string // and the name that it binds
}

// TargetUses finds what needs the target of that name: profiles of the workspace, and
// stages in the files, which are its pipelines and templates. A stage whose target is
// an expression is not among them, nor is one that leaves it to its template.
func TargetUses(w *schema.Workspace, files []string, name string) ([]TargetUse, error) {
	var uses []TargetUse
	for _, p := range w.Profiles {
		for _, bound := range slices.Sorted(maps.Keys(p.Targets)) {
			if p.Targets[bound] == name {
				uses = append(uses, TargetUse{At: w.Source.KeyAt(p.Path + "/targets/" + bound), Profile: p.Name, Name: bound})
			}
		}
	}
	for _, file := range files {
		source, stages, err := stagesOf(file)
		if err != nil {
			return nil, err
		}
		for _, s := range stages {
			_, said := source.Value(s.At("target"))
			open := !said && (s.Uses != "" || isTemplate(file)) // somebody else says it
			switch {
			case s.Approve != nil || s.Pipeline != "" || open || !slices.Contains(s.Target, name):
			case said:
				uses = append(uses, TargetUse{At: source.KeyAt(s.At("target")), Stage: s.Name})
			default:
				uses = append(uses, TargetUse{At: source.KeyAt(s.Path), Stage: s.Name, Implied: true})
			}
		}
	}
	return uses, nil
}

func isTemplate(file string) bool { return strings.HasSuffix(file, ".template.yaml") }

// stagesOf reads the stages of a pipeline or template, as far as they can be understood.
func stagesOf(file string) (*schema.Source, []schema.Stage, error) {
	text, err := ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	if isTemplate(file) {
		t, _ := schema.ReadTemplate(file, text)
		return t.Source, []schema.Stage{t.Stage}, nil
	}
	p, _ := schema.ReadPipeline(file, text)
	return p.Source, slices.Concat(p.Stages, p.Finally), nil
}
