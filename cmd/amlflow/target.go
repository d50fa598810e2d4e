package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) targetVerb() *cobra.Command {
	return group("target", "List and check the places where stages can run", p.targetLsVerb(), p.targetKindsVerb(), p.targetCheckVerb())
}

// checkPatience bounds how long one target may take to say whether it can be used.
const checkPatience = 15 * time.Second

func (p *program) targetLsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "ls", Short: "List the targets of the workspace", Args: takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			targets, err := p.targets()
			if err != nil {
				return err
			}
			return p.listTargets(targets)
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
		out = append(out, target.Target{Name: t.Name, Kind: t.Kind, Settings: t.Settings})
	}
	return out, nil
}

func (p *program) listTargets(targets []target.Target) error {
	if p.output == "name" {
		for _, t := range targets {
			p.print("%s", t.Name)
		}
		return nil
	}
	type row struct {
		target.Target
		Can target.Can `json:"can"`
	}
	list, drivers := []row{}, p.drivers()
	for _, t := range targets {
		r := row{Target: t}
		if d, ok := drivers[t.Kind]; ok {
			r.Can = d.Can(t)
		}
		list = append(list, r)
	}
	if p.output == "json" {
		return p.json(map[string]any{"targets": list})
	}
	rows := [][]string{p.heading("TARGET", "KIND", "NODES", "GPU", "SERVES")}
	for _, r := range list {
		rows = append(rows, []string{r.Name, r.Kind, fmt.Sprint(r.Can.Nodes), yes(r.Can.GPU), yes(r.Can.Serve)})
	}
	table(p.out, rows)
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (p *program) targetKindsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "kinds [KIND]", Short: "List the kinds of target, or print the settings of one as a JSON Schema", Args: takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			drivers := p.drivers()
			if len(args) == 1 {
				return p.kind(drivers, args[0])
			}
			rows := [][]string{p.heading("KIND", "IS")}
			list := []map[string]string{}
			for _, name := range slices.Sorted(maps.Keys(drivers)) {
				k := drivers[name].Kind()
				rows = append(rows, []string{k.Name, k.Summary})
				list = append(list, map[string]string{"name": k.Name, "summary": k.Summary})
			}
			if p.output == "json" {
				return p.json(map[string]any{"kinds": list})
			}
			table(p.out, rows)
			return nil
		},
	}, "json")
}

func (p *program) kind(drivers map[string]target.Driver, name string) error {
	d, ok := drivers[name]
	if !ok {
		return unknown("kind of target", name, slices.Collect(maps.Keys(drivers)))
	}
	_, err := p.out.Write(d.Kind().Settings)
	return err
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

func (p *program) targetCheckVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "check [NAME…]", Short: "Say whether targets can be used now, and if not, why", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, err := p.targets()
			if err != nil {
				return err
			}
			if targets, err = chosen(targets, args); err != nil {
				return err
			}
			return p.checkTargets(cmd.Context(), targets)
		},
	}, "json")
}

// chosen keeps the targets that are named, or all when none is.
func chosen(targets []target.Target, names []string) ([]target.Target, error) {
	if len(names) == 0 {
		return targets, nil
	}
	var known []string
	for _, t := range targets {
		known = append(known, t.Name)
	}
	var out []target.Target
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, unknown("target", name, known)
		}
		out = append(out, targets[i])
	}
	return out, nil
}

func (p *program) checkTargets(ctx context.Context, targets []target.Target) error {
	type verdict struct {
		Target string `json:"target"`
		Usable bool   `json:"usable"`
		Reason string `json:"reason"`
	}
	list, code := []verdict{}, exitOK
	for _, t := range targets {
		v := verdict{Target: t.Name, Usable: true}
		if err := p.checkTarget(ctx, t); err != nil {
			v.Usable, v.Reason, code = false, err.Error(), exitUnreachable
		}
		list = append(list, v)
	}
	if p.output == "json" {
		if err := p.json(map[string]any{"targets": list}); err != nil {
			return err
		}
		return silently(code)
	}
	var rows [][]string
	for _, v := range list {
		word := p.paintOut(green, "ok")
		if !v.Usable {
			word = p.paintOut(red, "no")
		}
		rows = append(rows, []string{word, v.Target, v.Reason})
	}
	table(p.out, rows)
	return silently(code)
}

func (p *program) checkTarget(ctx context.Context, t target.Target) error {
	d, ok := p.drivers()[t.Kind]
	if !ok {
		return fmt.Errorf("this program has no driver for targets of kind %q", t.Kind)
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	return d.Check(ctx, t)
}
