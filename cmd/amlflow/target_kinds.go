package main

import (
	"maps"
	"slices"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) targetKindsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "kinds [KIND]", Short: "List the kinds of target, or the settings of one", Args: takes(0, 1),
		Long: `Kinds lists the kinds of target that this program has, or what may stand beside
kind: KIND in amlflow.yaml.
-o json prints {"kinds":[{"name","summary"}]}, or the JSON Schema of the settings.`,
		RunE: func(_ *cobra.Command, args []string) error {
			drivers := p.drivers()
			if len(args) == 1 {
				return p.kind(drivers, args[0])
			}
			return p.listKinds(drivers)
		},
	}, "json")
}

func (p *program) listKinds(drivers map[string]target.Driver) error {
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
}

func (p *program) kind(drivers map[string]target.Driver, name string) error {
	d, ok := drivers[name]
	if !ok {
		return unknown("kind of target", name, slices.Collect(maps.Keys(drivers)))
	}
	k := d.Kind()
	if p.output == "json" {
		_, err := p.out.Write(k.Settings)
		return err
	}
	p.print("%s: %s\n", k.Name, k.Summary)
	rows := [][]string{p.heading("SETTING", "TAKES", "DEFAULT", "MEANING")}
	for _, r := range formOf(k).rows() {
		rows = append(rows, []string{r.Name, r.Type, r.Default, r.Means})
	}
	table(p.out, rows)
	p.say("\nadd one:  %s target add NAME --kind %s KEY=VALUE…", invocation(), k.Name)
	return nil
}
