package main

import (
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"

	"github.com/spf13/cobra"
)

// choices is what a person may decide for one run without editing a file.
type choices struct {
	params     []string
	paramsFile string
	targets    []string
	profile    string
	noCache    []string
	reports    reports // of what is wrong with the files
	locked     bool
	offline    bool
	under      map[string]any // what parameters are when nothing else is said
	seen       []diag.Lookup  // of the files that were read; see lines
}

func (c *choices) flags(v *cobra.Command) {
	f := v.Flags()
	f.StringArrayVarP(&c.params, "param", "p", nil, "give a parameter a value, as NAME=VALUE; may be repeated")
	f.StringVar(&c.paramsFile, "params-file", "", "YAML or JSON file with values for parameters; -p comes before it")
	f.StringArrayVar(&c.targets, "target", nil, "run elsewhere, as [STAGE=]TARGET; may be repeated")
	f.StringVar(&c.profile, "profile", "", "the workspace's profile to use")
	f.StringArrayVar(&c.noCache, "no-cache", nil, "do not reuse earlier results of this stage; may be repeated, and without a name stands for all")
	f.Lookup("no-cache").NoOptDefVal = everyStage
	c.reports.flags(v)
	f.BoolVar(&c.locked, "locked", inCI(os.Getenv), "refuse templates from git that amlflow.lock does not have; the default where CI is set")
	f.BoolVar(&c.offline, "offline", false, "fetch nothing")
}

// inCI follows the variable that every CI sets.
func inCI(env func(string) string) bool {
	v := strings.ToLower(env("CI"))
	return v != "" && v != "0" && v != "false" && v != "no"
}

// everyStage is what --no-cache says without a name. No stage can have it.
const everyStage = "*"

// options reads the flags for a purpose.
func (c *choices) options(p *program, why engine.Purpose) (engine.PrepareOptions, error) {
	o := engine.PrepareOptions{Profile: c.profile, Params: map[string]any{}, Targets: map[string]string{}, NoCache: map[string]bool{}, Drivers: p.drivers(), Home: p.home, Purpose: why, Locked: c.locked, Offline: c.offline}
	maps.Copy(o.Params, c.under)
	if err := c.readParamsFile(o.Params); err != nil {
		return o, err
	}
	for _, kv := range c.params {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			return o, usage(fmt.Errorf("-p %q gives no value: write -p NAME=VALUE", kv))
		}
		o.Params[name] = value
	}
	for _, stage := range c.noCache {
		o.NoCache[strings.TrimSuffix(stage, everyStage)] = true
	}
	for _, st := range c.targets {
		stage, name, ok := strings.Cut(st, "=")
		if !ok {
			stage, name = "", st
		}
		if name == "" || ok && stage == "" {
			return o, usage(fmt.Errorf("--target %q names no target: write --target TARGET or --target STAGE=TARGET", st))
		}
		o.Targets[stage] = name
	}
	return o, nil
}

func (c *choices) readParamsFile(into map[string]any) error {
	if c.paramsFile == "" {
		return nil
	}
	text, err := engine.ReadFile(c.paramsFile)
	if err != nil {
		return err
	}
	source, findings := schema.Read(c.paramsFile, text)
	if findings.Bad() {
		return findings
	}
	values, ok := source.Tree.(map[string]any)
	if !ok {
		return usage(fmt.Errorf("%q does not hold parameters: write NAME: VALUE, one a line", c.paramsFile))
	}
	for name, v := range values {
		into[name] = v
	}
	return nil
}
