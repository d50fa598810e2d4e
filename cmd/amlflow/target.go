package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) targetVerb() *cobra.Command {
	return group("target", "List, show, try, add and remove the places where stages can run",
		p.targetLsVerb(), p.targetShowVerb(), p.targetCheckVerb(), p.targetAddVerb(), p.targetRmVerb(), p.targetKindsVerb())
}

// checkPatience bounds how long one target may take to say whether it can be used.
const checkPatience = 15 * time.Second

func (p *program) targetLsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "ls", Short: "List the targets of the workspace", Args: takes(0, 0),
		Long: `Ls lists the targets that amlflow.yaml describes, where it does, by which other
names profiles mean them, and what they can do.
-o json prints {"targets":[{"name","kind","at","bound":[{"name","profile"}],"settings","can"}]}.`,
		RunE: func(*cobra.Command, []string) error {
			w, err := p.workspace()
			if err != nil {
				return err
			}
			return p.listTargets(w)
		},
	}, "json", "name")
}

// targets are those of the workspace of the current folder.
func (p *program) targets() ([]target.Target, error) {
	w, err := p.workspace()
	if err != nil {
		return nil, err
	}
	var out []target.Target
	for _, t := range w.Targets {
		out = append(out, asTarget(t))
	}
	return out, nil
}

func asTarget(t schema.Target) target.Target {
	return target.Target{Name: t.Name, Kind: t.Kind, Settings: t.Settings}
}

// placeJSON is a place in a file as machines read it.
type placeJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func placeOf(at diag.Pos) placeJSON { return placeJSON{at.File, at.Line, at.Col} }

// boundJSON is another name for a target, which a profile gives it.
type boundJSON struct {
	Name    string `json:"name"`
	Profile string `json:"profile"`
}

// targetJSON is a target as machines read it. Secret settings are hidden.
type targetJSON struct {
	Name     string         `json:"name"`
	Kind     string         `json:"kind"`
	At       *placeJSON     `json:"at"` // where it is written; null without an amlflow.yaml
	Bound    []boundJSON    `json:"bound"`
	Settings map[string]any `json:"settings"`
	Can      target.Can     `json:"can"`
}

func (p *program) targetRecord(w *schema.Workspace, t schema.Target, drivers map[string]target.Driver) targetJSON {
	r := targetJSON{Name: t.Name, Kind: t.Kind, Bound: []boundJSON{}, Settings: map[string]any{}}
	if w.Source != nil {
		if _, written := w.Source.Value(t.Path); written {
			at := placeOf(w.Source.KeyAt(t.Path))
			r.At = &at
		}
	}
	for _, profile := range w.Profiles {
		for _, name := range slices.Sorted(maps.Keys(profile.Targets)) {
			if profile.Targets[name] == t.Name {
				r.Bound = append(r.Bound, boundJSON{name, profile.Name})
			}
		}
	}
	if d, ok := drivers[t.Kind]; ok {
		r.Can, r.Settings = d.Can(asTarget(t)), formOf(d.Kind()).shown(t.Settings)
	}
	return r
}

func (p *program) listTargets(w *schema.Workspace) error {
	list, drivers := []targetJSON{}, p.drivers()
	for _, t := range w.Targets {
		list = append(list, p.targetRecord(w, t, drivers))
	}
	switch p.output {
	case "json":
		return p.json(map[string]any{"targets": list})
	case "name":
		for _, r := range list {
			p.print("%s", r.Name)
		}
		return nil
	}
	rows := [][]string{p.heading("TARGET", "KIND", "WHERE", "ALSO", "CAN")}
	for _, r := range list {
		rows = append(rows, []string{r.Name, r.Kind, r.where(), or(r.also(), "-"), abilities(r.Can)})
	}
	table(p.out, rows)
	return nil
}

func (r targetJSON) where() string {
	if r.At == nil {
		return "always there"
	}
	return fmt.Sprintf("%s:%d", r.At.File, r.At.Line)
}

// also says by which names profiles mean the target.
func (r targetJSON) also() string {
	var words []string
	for _, b := range r.Bound {
		words = append(words, fmt.Sprintf("%s (%s)", b.Name, b.Profile))
	}
	return join(words)
}

// abilities says what a target can do beyond running a command on one machine.
func abilities(can target.Can) string {
	words := []string{count(max(can.Nodes, 1), "node")}
	for _, a := range []struct {
		can  bool
		word string
	}{{can.GPU, "GPUs"}, {can.Images, "images"}, {can.Python, "Python environments"}, {can.Launch, "launchers"}, {can.Checkpoints, "checkpoints"}, {can.Serve, "serves"}, {can.Manage, "grows and shrinks"}} {
		if a.can {
			words = append(words, a.word)
		}
	}
	return join(words)
}

// heldTo says whether jobs on a target are held to what they ask for.
func heldTo(can target.Can) string {
	words := map[target.Hold]string{target.HoldNever: "not held", target.HoldMaybe: "held where the machine lets it", target.HoldAlways: "held"}
	if can.Memory == can.CPUs {
		return "memory and cpus are " + words[can.Memory]
	}
	return fmt.Sprintf("memory is %s, cpus are %s", words[can.Memory], words[can.CPUs])
}

// unknown says that there is no such thing, and what there is.
func unknown(what, name string, known []string) error {
	slices.Sort(known)
	cure := "there is " + or(join(known), "none")
	if n := diag.Nearest(name, known); n != "" {
		cure = fmt.Sprintf("did you mean %q?", n)
	}
	return ended{exitNotFound, fmt.Errorf("there is no %s %q: %s", what, name, cure)}
}

// targetNamed finds one target of a workspace.
func targetNamed(w *schema.Workspace, name string) (schema.Target, error) {
	var known []string
	for _, t := range w.Targets {
		if t.Name == name {
			return t, nil
		}
		known = append(known, t.Name)
	}
	return schema.Target{}, unknown("target", name, known)
}

// driverOf finds the driver of a target.
func (p *program) driverOf(t target.Target) (target.Driver, error) {
	d, ok := p.drivers()[t.Kind]
	if !ok {
		return nil, fmt.Errorf("this program has no driver for targets of kind %q: `%s target kinds` lists those that it has", t.Kind, invocation())
	}
	return d, nil
}

// uses finds what needs a target, in the files of the workspace.
func (p *program) uses(w *schema.Workspace, name string) ([]engine.TargetUse, error) {
	files, err := filesOfWorkspace(w.Dir)
	if err != nil {
		return nil, err
	}
	return engine.TargetUses(w, files, name)
}

// use says in a line what needs a target.
func use(u engine.TargetUse) string {
	at := fmt.Sprintf("%s:%d", u.At.File, u.At.Line)
	switch {
	case u.Profile != "":
		return fmt.Sprintf("%s: profile %q binds %q to it", at, u.Profile, u.Name)
	case u.Implied:
		return fmt.Sprintf("%s: stage %q says no target", at, u.Stage)
	}
	return fmt.Sprintf("%s: stage %q", at, u.Stage)
}

// workspaceFile is the workspace of the current folder with the path of its file.
func (p *program) workspaceFile() (*schema.Workspace, string, error) {
	w, err := p.workspace()
	if err != nil {
		return nil, "", err
	}
	if w.Source == nil {
		return w, "", nil
	}
	return w, filepath.Join(w.Dir, schema.FileName), nil
}

// errNoWorkspace says that there is no file to change.
var errNoWorkspace = ended{exitNotFound, errors.New("there is no " + schema.FileName + " here or above: go where it is")}

// completeTargets offers the targets of the workspace.
func (p *program) completeTargets(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if p.settle() == nil {
		targets, _ := p.targets()
		for _, t := range targets {
			names = append(names, t.Name+"\t"+t.Kind)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
