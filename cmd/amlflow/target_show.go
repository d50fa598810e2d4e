package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) targetShowVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "show NAME", Short: "Show a target: its settings, what it can, who uses it, and whether it can be used now", Args: takes(1, 1),
		Long: `Show tells what amlflow.yaml says of a target, without secrets, and which stages and
profiles of this workspace need it. A stage whose target is an expression is not found.
Of a target that amlflow grows and shrinks, it also tells how its nodes are, what waits
for them, why it grew or shrank last, and what its node-hours cost.
-o json prints a target as in "target ls", and {"used":[{"file","line","column","stage","profile"}],"usable","reason",
"machines":[{"name","alike","cpus","memory","gpus","memory_by","cpus_by"}],
"fleet":{"min","max","creating","ready","busy","leaving","queued","node_hours","grew","shrank","trouble","coming","runs"}}.`,
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
	// Machines are what it has, as far as its driver can tell.
	Machines []target.Machine `json:"machines"`
	// Fleet is how its nodes are; nil unless amlflow grows and shrinks the target.
	Fleet *target.Fleet `json:"fleet,omitempty"`
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
	v := targetView{targetJSON: p.targetRecord(w, t, p.drivers()), Used: []useJSON{}, Usable: true, Machines: []target.Machine{}}
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
	if v.Usable {
		seen, _ := p.survey(ctx, asTarget(t)) // that it can be used is what counts here; "target check" tells why not
		v.Machines = append(v.Machines, seen...)
	}
	if m, ok := p.drivers()[t.Kind].(target.Manager); ok && v.Usable {
		fleet, err := m.Nodes(ctx, asTarget(t))
		if err != nil {
			return err
		}
		v.Fleet = &fleet
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
		{p.paintOut(dim, "limits"), heldTo(v.Can)},
		{p.paintOut(dim, "also"), or(v.also(), "-")},
		{p.paintOut(dim, "now"), now},
	}
	if t.Cost > 0 {
		rows = append(rows, []string{p.paintOut(dim, "cost"), number(t.Cost) + " a node and hour"})
	}
	table(p.out, append(rows, p.fleetRows(t, v.Fleet)...))
	if rows := [][]string{p.machineHead()}; len(v.Machines) > 0 {
		for _, m := range v.Machines {
			rows = append(rows, machineRow(m))
		}
		p.print("")
		table(p.out, rows)
	}
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

// fleetRows tell how the nodes of a target are.
func (p *program) fleetRows(t schema.Target, f *target.Fleet) [][]string {
	if f == nil {
		return nil
	}
	nodes := fmt.Sprintf("%d ready (%d busy), %d coming, %d leaving; from %d to %d", f.Ready, f.Busy, f.Creating, f.Leaving, f.Min, f.Max)
	if len(f.Runs) > 0 {
		nodes += fmt.Sprintf(" for each of %s", count(len(f.Runs), "run"))
	}
	rows := [][]string{
		{p.paintOut(dim, "nodes"), nodes},
		{p.paintOut(dim, "queued"), count(f.Queued, "job")},
	}
	if f.GPUs > 0 {
		rows = append(rows, []string{p.paintOut(dim, "gpus"), fmt.Sprintf("%d, of which %d are taken", f.GPUs, f.GPUsTaken)})
	}
	if f.Coming != "" {
		rows = append(rows, []string{p.paintOut(dim, "coming"), f.Coming})
	}
	for _, last := range []struct {
		what string
		r    target.Resized
	}{{"grew", f.Grew}, {"shrank", f.Shrank}} {
		if !last.r.At.IsZero() {
			rows = append(rows, []string{p.paintOut(dim, last.what), fmt.Sprintf("by %s %s: %s", count(last.r.Nodes, "node"), ago(last.r.At), last.r.Why)})
		}
	}
	used := fmt.Sprintf("%.3f node-hours", f.NodeHours)
	if t.Cost > 0 {
		used += fmt.Sprintf(", which cost %.2f", t.Cost*f.NodeHours)
	}
	rows = append(rows, []string{p.paintOut(dim, "used"), used})
	if f.Trouble != "" {
		rows = append(rows, []string{p.paintOut(dim, "trouble"), p.paintOut(red, f.Trouble)})
	}
	return rows
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
