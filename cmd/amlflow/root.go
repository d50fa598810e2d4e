package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The groups in which the verbs are shown.
const (
	groupAuthor  = "author"
	groupRun     = "run"
	groupPlaces  = "places"
	groupOperate = "operate"
)

// root is the command without a verb.
func (p *program) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "amlflow",
		Short: "One YAML file takes a model from an experiment to a served endpoint",
		Long: `amlflow carries a model through its life as one YAML file says: experiment on
this computer, train on another target, deploy what is good enough.

Begin with:  amlflow init && amlflow run hello.pipeline.yaml`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(v *cobra.Command, args []string) error { p.parsed = true; frugal(v, args); return p.settle() },
	}
	c.SetIn(p.in)
	c.SetOut(p.out)
	c.SetErr(p.err)
	f := c.PersistentFlags()
	f.StringVarP(&p.output, "output", "o", "table", "how to print: table, json, ndjson or name, where a verb has them")
	f.BoolVar(&p.noColor, "no-color", false, "print without colours (also: NO_COLOR)")
	f.StringVar(&p.address, "address", "", "host:port of a Temporal server to use instead of the embedded one (also: AMLFLOW_ADDRESS)")
	f.StringVar(&p.namespace, "namespace", "", "namespace on that server (also: AMLFLOW_NAMESPACE)")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "ndjson", "name"}, cobra.ShellCompDirectiveNoFileComp))
	c.AddGroup(
		&cobra.Group{ID: groupAuthor, Title: "Author:"},
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupPlaces, Title: "Places:"},
		&cobra.Group{ID: groupOperate, Title: "Operate:"},
	)
	c.CompletionOptions.DisableDefaultCmd = true
	c.SetHelpCommandGroupID(groupOperate)
	p.addVerbs(c)
	return c
}

// addVerbs lists every verb, in the order of a pipeline's life.
func (p *program) addVerbs(c *cobra.Command) {
	in := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
			c.AddCommand(v)
		}
	}
	in(groupAuthor, p.initVerb(), p.validateVerb(), p.fmtVerb(), p.planVerb(), p.graphVerb(), p.diffVerb(), p.testVerb(), p.templateVerb(), p.explainVerb(), p.schemaVerb())
	in(groupRun, p.runVerb(), p.retryVerb(), p.waitVerb(), p.psVerb(), p.statusVerb(), p.logsVerb(), p.metricsVerb(), p.compareVerb(), p.artifactsVerb(), p.cancelVerb(), p.drillVerb(), p.approveVerb(), p.rejectVerb(), p.whyVerb(), p.verifyVerb(), p.exportVerb())
	in(groupPlaces, p.targetVerb(), p.endpointVerb(), p.modelVerb(), p.scheduleVerb(), p.secretVerb())
	in(groupOperate, p.serverVerb(), p.doctorVerb(), p.gcVerb(), p.versionVerb(), p.completionVerb(c))
	c.AddCommand(p.gatewayVerb(), p.trackingVerb())
}

// prints names the forms of output that a verb has; any other is refused.
func (p *program) prints(v *cobra.Command, forms ...string) *cobra.Command {
	run := v.RunE
	v.RunE = func(c *cobra.Command, args []string) error {
		if p.output != "table" && !slices.Contains(forms, p.output) {
			return usage(fmt.Errorf("%q does not print %q: it prints %s", c.CommandPath(), p.output, strings.Join(append([]string{"table"}, forms...), ", ")))
		}
		return run(c, args)
	}
	return v
}

// takes wants between least and most arguments; most below zero is no bound. What
// is missing or too much is said in the words of the verb's usage.
func takes(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(fmt.Errorf("%q wants more: write %s", c.CommandPath(), strings.TrimSuffix(c.UseLine(), " [flags]")))
		case most >= 0 && len(args) > most:
			return usage(fmt.Errorf("%q does not know what to do with %q: write %s", c.CommandPath(), args[most], strings.TrimSuffix(c.UseLine(), " [flags]")))
		}
		return nil
	}
}

// group is a verb that only has verbs below it.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		cure := fmt.Sprintf("`%s --help` lists them", c.CommandPath())
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			cure = fmt.Sprintf("did you mean %q?", s[0])
		}
		return usage(fmt.Errorf("%q has no verb %q: %s", c.CommandPath(), args[0], cure))
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(verbs...)
	return c
}
