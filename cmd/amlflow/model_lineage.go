package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) modelLineageVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "lineage NAME[@VERSION|@LABEL]", Short: "Show where a model comes from, and where it is served", Args: takes(1, 1), ValidArgsFunction: p.completeVersions,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, _, err := p.registry()
			if err != nil {
				return err
			}
			v, err := p.model(r, args[0])
			if err != nil {
				return err
			}
			tree := lineageOf(v, newest(v), p.serving(cmd.Context())[v.Artifact])
			if p.output == "json" {
				return p.json(tree)
			}
			p.print("%s", p.paintOut(bold, tree.What)+referenceOf(tree))
			p.branches(tree.Below, "")
			return nil
		},
	}, "json")
}

// kin is one thing of a lineage, and what is below it: what it comes from, or for a model
// also where it went.
type kin struct {
	Kind  string `json:"kind"` // model, run, stage, code, data, params, metrics or endpoint
	What  string `json:"what"`
	Ref   string `json:"ref,omitempty"` // an artifact, or the URL of an endpoint
	Below []kin  `json:"below,omitempty"`
}

// lineageOf is the tree of a version: endpoints, and the run with what it was made of.
func lineageOf(v registry.Version, o registry.Origin, served []servedAt) kin {
	root := kin{Kind: "model", What: v.Reference(), Ref: string(v.Artifact)}
	for _, s := range served {
		root.Below = append(root.Below, kin{Kind: "endpoint", What: s.Endpoint + " on " + s.Target, Ref: s.URL})
	}
	run := kin{Kind: "run", What: fmt.Sprintf("%s of pipeline %s, %s", o.Run, o.Pipeline, o.At.Local().Format(time.DateTime))}
	made := kin{Kind: "stage", What: stageAt(o)}
	if m := metrics(o.Metrics); m != "" {
		made.Below = append(made.Below, kin{Kind: "metrics", What: m})
	}
	if all := params(o.Params); all != "" {
		made.Below = append(made.Below, kin{Kind: "params", What: all})
	}
	if o.Code != "" {
		made.Below = append(made.Below, kin{Kind: "code", Ref: string(o.Code)})
	}
	told := map[string]bool{}
	for _, in := range o.Inputs {
		told[string(in.Artifact)] = true
		data := kin{Kind: "data", What: in.Name, Ref: string(in.Artifact)}
		if a := makerOf(o.Before, in.Artifact); a != nil {
			data.Below = []kin{ancestorOf(o, a, told)}
		} else if name := paramOf(o.Params, in.Artifact); name != "" {
			data.What += ", given to the run as " + name
		}
		made.Below = append(made.Below, data)
	}
	for i := range o.Before { // whose values it used, or whose content was changed on the way
		if a := &o.Before[i]; !told[a.Stage] {
			made.Below = append(made.Below, ancestorOf(o, a, told))
		}
	}
	run.Below = []kin{made}
	root.Below = append(root.Below, run)
	return root
}

// makerOf is the stage that made some content.
func makerOf(all []registry.Ancestor, ref target.Ref) *registry.Ancestor {
	i := slices.IndexFunc(all, func(a registry.Ancestor) bool {
		return slices.ContainsFunc(a.Outputs, func(g registry.Given) bool { return g.Artifact == ref })
	})
	if i < 0 {
		return nil
	}
	return &all[i]
}

func paramOf(params map[string]any, ref target.Ref) string {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if params[name] == string(ref) {
			return name
		}
	}
	return ""
}

// ancestorOf is a stage that came before, with those before it. Each is told once.
func ancestorOf(o registry.Origin, a *registry.Ancestor, told map[string]bool) kin {
	k := kin{Kind: "stage", What: a.Stage}
	if a.Run != "" && a.Run != o.Run {
		k.What += " of run " + a.Run
	}
	if told[a.Stage] {
		k.What += " (see above)"
		return k
	}
	told[a.Stage] = true
	if a.Code != "" && a.Code != o.Code {
		k.Below = append(k.Below, kin{Kind: "code", Ref: string(a.Code)})
	}
	for _, out := range a.Outputs {
		if told[string(out.Artifact)] {
			continue
		}
		k.Below = append(k.Below, kin{Kind: "data", What: out.Name, Ref: string(out.Artifact)})
	}
	for _, name := range a.Uses {
		if i := slices.IndexFunc(o.Before, func(b registry.Ancestor) bool { return b.Stage == name }); i >= 0 {
			k.Below = append(k.Below, ancestorOf(o, &o.Before[i], told))
		}
	}
	return k
}

// branches draws what is below something.
func (p *program) branches(all []kin, indent string) {
	for i, k := range all {
		bough, below := "├─ ", "│  "
		if i == len(all)-1 {
			bough, below = "└─ ", "   "
		}
		p.print("%s", p.paintOut(dim, indent+bough+k.Kind)+after(clean(k.What))+referenceOf(k))
		p.branches(k.Below, indent+below)
	}
}

func after(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// referenceOf is the reference of something, behind its name.
func referenceOf(k kin) string { return strings.TrimRight("  "+k.Ref, " ") }
