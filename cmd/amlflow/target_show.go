package main

import (
	"context"
	"maps"
	"slices"

	"github.com/amlflow/amlflow/schema"

	"github.com/spf13/cobra"
)

func (p *program) targetShowVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "show NAME", Short: "Show a target: its settings, what it can, who uses it, and whether it can be used now", Args: takes(1, 1),
		Long: `Show tells what amlflow.yaml says of a target, without secrets, and which stages and
profiles of this workspace need it. A stage whose target is an expression is not found.
-o json prints a target as in "target ls", and {"used":[{"file","line","column","stage","profile"}],"usable","reason"}.`,
		ValidArgsFunction: p.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return p.showTarget(ctx, args[0])
		},
	}, "json")
}

// useJSON is what needs a target, as machines read it.
type useJSON struct {
	placeJSON
	Stage   *string `json:"stage"`
	Profile *string `json:"profile"`
}

// targetView is all that is known of one target.
type targetView struct {
	targetJSON
	Used   []useJSON `json:"used"`
	Usable bool      `json:"usable"`
	Reason *string   `json:"reason"`
}

func (p *program) showTarget(ctx context.Context, name string) error {
	w, err := p.workspace()
	if err != nil {
		return err
	}
	t, err := targetNamed(w, name)
	if err != nil {
		return err
	}
	uses, err := p.uses(w, name)
	if err != nil {
		return err
	}
	v := targetView{targetJSON: p.targetRecord(w, t, p.drivers()), Used: []useJSON{}, Usable: true}
	var lines []string
	for _, u := range uses {
		one := useJSON{placeJSON: placeOf(u.At)}
		if u.Profile != "" {
			one.Profile = &u.Profile
		} else {
			one.Stage = &u.Stage
		}
		v.Used, lines = append(v.Used, one), append(lines, use(u))
	}
	if err := p.checkTarget(ctx, asTarget(t)); err != nil {
		why := err.Error()
		v.Usable, v.Reason = false, &why
	}
	if p.output == "json" {
		return p.json(v)
	}
	p.printTarget(t, v, lines)
	return nil
}

func (p *program) printTarget(t schema.Target, v targetView, uses []string) {
	now := p.paintOut(green, "ok")
	if !v.Usable {
		now = p.paintOut(red, "no: ") + *v.Reason
	}
	rows := [][]string{
		{p.paintOut(dim, "target"), p.paintOut(bold, v.Name)},
		{p.paintOut(dim, "kind"), v.Kind},
		{p.paintOut(dim, "where"), v.where()},
		{p.paintOut(dim, "can"), abilities(v.Can)},
		{p.paintOut(dim, "also"), or(v.also(), "-")},
		{p.paintOut(dim, "now"), now},
	}
	if t.Cost > 0 {
		rows = append(rows, []string{p.paintOut(dim, "cost"), number(t.Cost) + " a node and hour"})
	}
	table(p.out, rows)
	if rows := p.settingRows(t, v.Settings); len(rows) > 1 {
		p.print("")
		table(p.out, rows)
	}
	p.print("")
	if len(uses) == 0 {
		p.print("nothing in this workspace uses it")
		return
	}
	p.print("used by")
	for _, line := range uses {
		p.print("  %s", line)
	}
}

// settingRows are the settings that were said, and the defaults of the others.
func (p *program) settingRows(t schema.Target, said map[string]any) [][]string {
	rows := [][]string{p.heading("SETTING", "VALUE")}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		rows = append(rows, []string{name, value(said[name])})
	}
	d, ok := p.drivers()[t.Kind]
	if !ok {
		return rows
	}
	form := formOf(d.Kind())
	for _, r := range form.rows() {
		if _, there := said[r.Name]; there || form.at(r.Name)["default"] == nil {
			continue
		}
		rows = append(rows, []string{r.Name, p.paintOut(dim, r.Default+" (default)")})
	}
	return rows
}
