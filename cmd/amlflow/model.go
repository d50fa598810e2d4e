package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) modelVerb() *cobra.Command {
	return group("model", "The registry of models: versions, labels, and where they come from",
		p.modelLsVerb(), p.modelShowVerb(), p.modelPromoteVerb(), p.modelPullVerb(), p.modelLineageVerb(), p.modelRmVerb())
}

// registry is that of the workspace's store, and the store. No engine is needed.
func (p *program) registry() (registry.Registry, string, error) {
	w, err := p.workspace()
	if err != nil {
		return registry.Registry{}, "", err
	}
	store := engine.StoreOf(w, p.home)
	return registry.Open(store), store, nil
}

// modelRecord is a version as machines read it.
type modelRecord struct {
	registry.Version
	Labels []string         `json:"labels"`
	Serves []servedAt       `json:"serves"`
	Moves  []registry.Move  `json:"moves,omitempty"`
	Origin *registry.Origin `json:"origin,omitempty"` // the newest of its origins
}

// servedAt is an endpoint that serves a version.
type servedAt struct {
	Endpoint string `json:"endpoint"`
	Target   string `json:"target"`
	URL      string `json:"url"`
}

// labelsOf are the labels that a version has, in their order.
func labelsOf(holders map[string]int, version int) []string {
	out := []string{}
	for _, l := range registry.Labels {
		if holders[l] == version {
			out = append(out, l)
		}
	}
	return out
}

// serving are the endpoints, by the content that they serve. What cannot be asked is said.
func (p *program) serving(ctx context.Context) map[target.Ref][]servedAt {
	all, err := p.endpoints(ctx)
	if err != nil {
		p.say("%s it is not known of all targets what they serve: %v", p.paintErr(yellow, "warning:"), err)
	}
	out := map[target.Ref][]servedAt{}
	for _, e := range all {
		if e.Model != "" {
			out[e.Model] = append(out[e.Model], servedAt{e.Name, e.Target, e.URL})
		}
	}
	return out
}

func (p *program) modelLsVerb() *cobra.Command {
	v := &cobra.Command{
		Use: "ls [NAME]", Short: "List models, or the versions of one", Args: takes(0, 1), ValidArgsFunction: p.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, _, err := p.registry()
			if err != nil {
				return err
			}
			names, err := r.Names()
			if len(args) == 1 {
				if _, err := r.Find(args[0], registry.Latest); err != nil {
					return err
				}
				names = args
			}
			if err != nil {
				return err
			}
			return p.listModels(cmd.Context(), r, names, len(args) == 1)
		},
	}
	return p.prints(v, "json", "name")
}

func (p *program) listModels(ctx context.Context, r registry.Registry, names []string, one bool) error {
	served := map[target.Ref][]servedAt{}
	if p.output != "name" {
		served = p.serving(ctx)
	}
	all := []modelRecord{}
	rows := [][]string{p.heading("MODEL", "VERSIONS", "NEWEST", "LABELS", "MADE", "SERVED BY")}
	if one {
		rows = [][]string{p.heading("MODEL", "LABELS", "METRICS", "RUN", "STAGE", "MADE", "SERVED BY")}
	}
	for _, name := range names {
		versions, err := r.Versions(name)
		if err != nil {
			return err
		}
		holders, err := r.Holders(name)
		if err != nil {
			return err
		}
		var by []string
		for i := len(versions) - 1; i >= 0; i-- { // the newest first
			v := versions[i]
			all = append(all, modelRecord{Version: v, Labels: labelsOf(holders, v.Version), Serves: orNone(served[v.Artifact])})
			by = append(by, endpointNames(served[v.Artifact])...)
			if o := newest(v); one {
				rows = append(rows, []string{v.Reference(), or(strings.Join(labelsOf(holders, v.Version), ", "), "-"), or(metrics(o.Metrics), "-"), o.Run, stageAt(o), ago(v.Made), or(strings.Join(endpointNames(served[v.Artifact]), ", "), "-")})
			}
		}
		if len(versions) > 0 && !one {
			last := versions[len(versions)-1]
			rows = append(rows, []string{name, fmt.Sprint(len(versions)), last.Reference(), or(labelled(holders), "-"), ago(last.Made), or(strings.Join(slices.Compact(by), ", "), "-")})
		}
	}
	switch {
	case p.output == "json":
		return p.json(map[string]any{"models": all})
	case p.output == "name" && one:
		for _, m := range all {
			p.print("%s", m.Reference())
		}
	case p.output == "name":
		for _, name := range names {
			p.print("%s", name)
		}
	case len(all) == 0:
		p.say("there are no models; a stage with an output of type model makes one")
	default:
		table(p.out, rows)
	}
	return nil
}

// labelled says which version has which label.
func labelled(holders map[string]int) string {
	var out []string
	for _, l := range registry.Labels {
		if n := holders[l]; n > 0 {
			out = append(out, fmt.Sprintf("%s @%d", l, n))
		}
	}
	return strings.Join(out, ", ")
}

func orNone(s []servedAt) []servedAt {
	if s == nil {
		return []servedAt{}
	}
	return s
}

func endpointNames(all []servedAt) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.Endpoint)
	}
	return out
}

// newest is what made a version the last time.
func newest(v registry.Version) registry.Origin {
	if len(v.Origins) == 0 {
		return registry.Origin{}
	}
	return v.Origins[len(v.Origins)-1]
}

// stageAt is the stage of an origin, and for which item it ran.
func stageAt(o registry.Origin) string { return strings.TrimSpace(o.Stage + " " + clean(o.Item)) }

// model finds what a person names: NAME@VERSION, NAME@LABEL, or NAME for the newest.
func (p *program) model(r registry.Registry, text string) (registry.Version, error) {
	name, which, ok := registry.Parse(text)
	switch {
	case ok:
		return r.Find(name, which)
	case registry.ValidName(text):
		return r.Find(text, registry.Latest)
	}
	return registry.Version{}, usage(fmt.Errorf("%.60q names no model: write NAME@VERSION, NAME@LABEL, or NAME for the newest", text))
}

func (p *program) modelShowVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "show NAME[@VERSION|@LABEL]", Short: "Show a version of a model: what made it, how good it is, who serves it", Args: takes(1, 1), ValidArgsFunction: p.completeVersions,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, store, err := p.registry()
			if err != nil {
				return err
			}
			v, err := p.model(r, args[0])
			if err != nil {
				return err
			}
			return p.showModel(cmd.Context(), r, store, v)
		},
	}, "json")
}

func (p *program) showModel(ctx context.Context, r registry.Registry, store string, v registry.Version) error {
	holders, err := r.Holders(v.Model)
	if err != nil {
		return err
	}
	history, err := r.History(v.Model)
	if err != nil {
		return err
	}
	history = slices.DeleteFunc(history, func(m registry.Move) bool { return m.From != v.Version && m.To != v.Version })
	o := newest(v)
	record := modelRecord{Version: v, Labels: labelsOf(holders, v.Version), Serves: orNone(p.serving(ctx)[v.Artifact]), Moves: history, Origin: &o}
	if p.output == "json" {
		return p.json(record)
	}
	rows := [][]string{
		{"model", p.paintOut(bold, v.Reference())}, {"labels", strings.Join(record.Labels, ", ")}, {"made", v.Made.Local().Format(time.DateTime)},
		{"run", o.Run}, {"stage", stageAt(o)}, {"pipeline", o.Pipeline}, {"metrics", metrics(o.Metrics)}, {"params", params(o.Params)},
		{"artifact", string(v.Artifact)}, {"code", string(o.Code)},
	}
	for _, in := range o.Inputs {
		rows = append(rows, []string{"input", in.Name + " " + string(in.Artifact)})
	}
	if b, err := blob.OpenFolder(store); err == nil && !b.Has(v.Artifact) {
		rows = append(rows, []string{"gone", "its content is not in the store " + store})
	}
	for _, risk := range v.Risky {
		rows = append(rows, []string{"warning", p.paintOut(yellow, clean(strings.TrimSpace(risk.File+" is "+risk.Why+": it runs code when it is loaded")))})
	}
	for _, s := range record.Serves {
		rows = append(rows, []string{"serves", s.Endpoint + " on " + s.Target + "  " + s.URL})
	}
	if n := len(v.Origins); n > 1 {
		rows = append(rows, []string{"made again", fmt.Sprintf("the same content came of %d stages, first of run %s", n, v.Origins[0].Run)})
	}
	for _, m := range history {
		rows = append(rows, []string{"history", moved(m, v.Version)})
	}
	var told [][]string
	for _, row := range rows {
		if row[1] != "" {
			told = append(told, row)
		}
	}
	table(p.out, told)
	return nil
}

// moved tells of a label as one version sees it.
func moved(m registry.Move, version int) string {
	what := "got " + m.Label
	switch {
	case m.To == 0:
		what = "lost " + m.Label
	case m.From == version:
		what = fmt.Sprintf("gave %s to @%d", m.Label, m.To)
	case m.From > 0:
		what += fmt.Sprintf(" from @%d", m.From)
	}
	text := fmt.Sprintf("%s  %s, by %s", m.At.Local().Format(time.DateTime), what, clean(m.By))
	if m.Why != "" {
		text += ": " + clean(m.Why)
	}
	return text
}

func params(all map[string]any) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, name+"="+value(all[name]))
	}
	return strings.Join(out, "  ")
}

func (p *program) modelPromoteVerb() *cobra.Command {
	var label, why string
	var remove bool
	v := &cobra.Command{
		Use: "promote NAME@VERSION --label LABEL", Short: "Give a label to a version, and take it from the one that has it", Args: takes(1, 1), ValidArgsFunction: p.completeVersions,
		Long: `Promote moves a label: candidate, staging or production. One version of a model has
it at a time, and runs that are planned afterwards with NAME@LABEL use that one; what
is planned or served already stays as it is. Who moved it, when and why is kept. With
--remove the label is taken away. Promoting again changes nothing.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, _, err := p.registry()
			if err != nil {
				return err
			}
			if !slices.Contains(registry.Labels, label) {
				return usage(fmt.Errorf("there is no label %q: the labels are %s", label, strings.Join(registry.Labels, ", ")))
			}
			v, err := p.model(r, args[0])
			if err != nil {
				return err
			}
			return p.promote(r, v, label, why, remove)
		},
	}
	v.Flags().StringVar(&label, "label", "production", "candidate, staging or production")
	v.Flags().StringVarP(&why, "message", "m", "", "why, for the record")
	v.Flags().BoolVar(&remove, "remove", false, "take the label away from this version")
	_ = v.RegisterFlagCompletionFunc("label", cobra.FixedCompletions(registry.Labels, cobra.ShellCompDirectiveNoFileComp))
	return p.prints(v, "json")
}

func (p *program) promote(r registry.Registry, v registry.Version, label, why string, remove bool) error {
	who, err := account()
	if err != nil {
		return err
	}
	to := v.Version
	if remove {
		holders, err := r.Holders(v.Model)
		if err != nil {
			return err
		}
		if to = 0; holders[label] != v.Version {
			return ended{exitConflict, fmt.Errorf("%s is not labelled %s", v.Reference(), label)}
		}
	}
	before, err := r.Promote(v.Model, to, label, registry.Decision{At: registry.Now(), By: who, Why: why})
	if err != nil {
		return err
	}
	if p.output == "json" {
		return p.json(map[string]any{"model": v.Model, "version": v.Version, "label": label, "before": before, "removed": remove, "by": who})
	}
	switch {
	case remove:
		p.say("%s is no longer labelled %s", v.Reference(), label)
	case before == v.Version:
		p.say("%s is labelled %s already", v.Reference(), label)
	case before > 0:
		p.say("%s is labelled %s now, which %s@%d was before", v.Reference(), label, v.Model, before)
	default:
		p.say("%s is labelled %s now", v.Reference(), label)
	}
	return nil
}

func (p *program) modelPullVerb() *cobra.Command {
	v := &cobra.Command{
		Use: "pull NAME[@VERSION|@LABEL] DIR", Short: "Write the files of a model into a new folder", Args: takes(2, 2), ValidArgsFunction: p.completeVersions,
		Long: `Pull writes what a version holds to DIR, which must not be there yet; each file is held
against its digest. A model that is one file is written as the file DIR.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, store, err := p.registry()
			if err != nil {
				return err
			}
			v, err := p.model(r, args[0])
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if err := pull(ctx, store, v, args[1]); err != nil {
				return fmt.Errorf("pull %s: %w", v.Reference(), err)
			}
			if p.output == "json" {
				return p.json(map[string]any{"model": v.Model, "version": v.Version, "artifact": v.Artifact, "path": args[1]})
			}
			p.say("%s is in %s", v.Reference(), args[1])
			return nil
		},
	}
	return p.prints(v, "json")
}

// pull writes beside the place first: who is interrupted leaves nothing half.
func pull(ctx context.Context, store string, v registry.Version, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return ended{exitConflict, fmt.Errorf("there is something at %q already: name another folder", to)}
	}
	b, err := blob.OpenFolder(store)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+"-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	whole := filepath.Join(tmp, "model")
	if err := target.Get(ctx, b, v.Artifact, whole); err != nil {
		return err
	}
	return os.Rename(whole, to)
}

func (p *program) modelRmVerb() *cobra.Command {
	var why string
	v := &cobra.Command{
		Use: "rm NAME@VERSION…", Short: "Take versions out of the registry", Args: takes(1, -1), ValidArgsFunction: p.completeVersions,
		Long: `Rm takes versions out of the registry, so that gc may remove their content. A version
that has a label or is served stays. Its number is never used again.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, _, err := p.registry()
			if err != nil {
				return err
			}
			who, err := account()
			if err != nil {
				return err
			}
			served := p.serving(cmd.Context())
			for _, arg := range args {
				name, which, ok := registry.Parse(arg)
				if _, err := strconv.Atoi(which); !ok || err != nil {
					return usage(fmt.Errorf("%.60q names no version: write NAME@VERSION", arg))
				}
				v, err := r.Find(name, which)
				if err != nil {
					return err
				}
				if by := endpointNames(served[v.Artifact]); len(by) > 0 {
					return fmt.Errorf("%w: %s is served by %s", registry.ErrHeld, v.Reference(), strings.Join(by, ", "))
				}
				if err := r.Remove(name, v.Version, registry.Decision{At: registry.Now(), By: who, Why: why}); err != nil {
					return err
				}
				p.say("%s is removed", v.Reference())
			}
			return nil
		},
	}
	v.Flags().StringVarP(&why, "message", "m", "", "why, for the record")
	return p.prints(v)
}

// completeModels offers the names of models.
func (p *program) completeModels(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || p.settle() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	r, _, err := p.registry()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := r.Names()
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeVersions offers versions, each with what tells it from the others; behind one,
// files.
func (p *program) completeVersions(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && strings.HasPrefix(cmd.Use, "pull") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, directive := p.completeModels(cmd, args, text)
	r, _, err := p.registry()
	if err != nil {
		return nil, directive
	}
	var out []string
	for _, name := range names {
		versions, _ := r.Versions(name)
		holders, _ := r.Holders(name)
		for i := len(versions) - 1; i >= 0 && i >= len(versions)-20; i-- {
			v := versions[i]
			out = append(out, v.Reference()+"\t"+strings.Join(append(labelsOf(holders, v.Version), metrics(newest(v).Metrics)), " "))
		}
	}
	return out, directive
}
