package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

// adding is what a person says about a new target.
type adding struct {
	name, kind string
	settings   []string
	trust      []string
}

func (p *program) targetAddVerb() *cobra.Command {
	var a adding
	v := &cobra.Command{
		Use: "add NAME [KEY=VALUE…]", Short: "Write a target into amlflow.yaml, and get to know it",
		Long: `Add writes a target into amlflow.yaml, and leaves all else in the file as it is:
  amlflow target add gpu --kind ssh host=gpu1.lan user=ml
"target kinds KIND" lists the settings of a kind. One inside of another is written a.b=VALUE,
a list as [x, y] or by giving its key several times. Without an amlflow.yaml one is made
here. What is wrong with the settings is said before anything is written.

Some kinds must know who the target is, by the key of a host for example. Add shows the
fingerprint and ends with 4; compare it, and repeat the command with --trust FINGERPRINT.
For a target that is in the file already, "target add NAME" does only that.

-o json prints {"target","kind","file","added","confirm":[{"of","what","mark","advice"}]}; what
is left to confirm stands in confirm.`,
		Args: takes(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			a.name, a.settings = args[0], args[1:]
			return p.addTarget(ctx, a)
		},
	}
	v.Flags().StringVar(&a.kind, "kind", "", "the kind of target; see `target kinds`")
	v.Flags().StringArrayVar(&a.trust, "trust", nil, "a fingerprint that was compared; may be repeated")
	_ = v.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return slices.Sorted(maps.Keys(p.drivers())), cobra.ShellCompDirectiveNoFileComp
	})
	return p.prints(v, "json")
}

// addition is a target that may be added, and the file with it in it.
type addition struct {
	target schema.Target
	file   string
	text   []byte // nil: the file has the target already
	fresh  bool   // there is no such file yet
}

func (p *program) addTarget(ctx context.Context, a adding) error {
	one, err := p.addition(a)
	if err != nil {
		return err
	}
	t := asTarget(one.target)
	d, err := p.driverOf(t)
	if err != nil {
		return err
	}
	left, err := introduce(ctx, d, t, a.trust)
	if err != nil {
		return err
	}
	if err := one.write(left); err != nil {
		return err
	}
	return p.sayAdded(one, left)
}

// addition works out what the file will be. It writes nothing.
func (p *program) addition(a adding) (addition, error) {
	w, file, err := p.workspaceFile()
	if err != nil {
		return addition{}, err
	}
	if !schema.ValidName(a.name) {
		return addition{}, usage(fmt.Errorf("%q cannot name a target: use small letters, digits and . _ -, begin with a letter or digit, and use at most 63", a.name))
	}
	if t, err := targetNamed(w, a.name); err == nil {
		return p.again(w, t, file, a)
	}
	settings, err := p.wishes(a)
	if err != nil {
		return addition{}, err
	}
	one := addition{file: file}
	var text []byte
	if file == "" {
		one.file, one.fresh, text = schema.FileName, true, newWorkspace()
	} else if text, err = engine.ReadFile(file); err != nil {
		return one, err
	}
	if one.text, err = schema.AddTarget(text, a.name, settings); err != nil {
		return one, err
	}
	one.target, err = p.foresee(one, a.name)
	return one, err
}

// again is a target that is there already: the same one is no mistake.
func (p *program) again(w *schema.Workspace, t schema.Target, file string, a adding) (addition, error) {
	one := addition{target: t, file: file}
	if a.kind == "" && len(a.settings) == 0 {
		return one, nil
	}
	a.kind = or(a.kind, t.Kind)
	settings, err := p.wishes(a)
	if err != nil {
		return one, err
	}
	if same, err := says(t, settings); err != nil || same {
		return one, err
	}
	where := "which is always there: write " + schema.FileName + " to change it"
	if w.Source != nil {
		at := w.Source.KeyAt(t.Path)
		where = fmt.Sprintf("on line %d of %s: change it there", at.Line, at.File)
	}
	return one, ended{exitConflict, fmt.Errorf("there is a target %q already, with other settings, %s, or choose another name", a.name, where)}
}

// says reports whether a target has these settings, its kind among them, and no others.
func says(t schema.Target, settings []schema.Setting) (bool, error) {
	given := map[string]any{"kind": t.Kind}
	if t.Cost != 0 {
		given["cost"] = t.Cost
	}
	if len(t.Settings) > 0 {
		if err := json.Unmarshal(t.Settings, &given); err != nil {
			return false, err
		}
	}
	values := map[string]any{}
	for _, s := range settings {
		values[s.Name] = s.Value
	}
	text, err := json.Marshal(values) // so that numbers are of the same type
	if err != nil {
		return false, err
	}
	var wished map[string]any
	err = json.Unmarshal(text, &wished)
	return reflect.DeepEqual(given, wished), err
}

// wishes are the kind and the settings that were given.
func (p *program) wishes(a adding) ([]schema.Setting, error) {
	drivers := p.drivers()
	kinds := slices.Sorted(maps.Keys(drivers))
	if a.kind == "" {
		return nil, usage(fmt.Errorf("say what kind of target %q is: write --kind KIND, one of %s", a.name, join(kinds)))
	}
	d, ok := drivers[a.kind]
	if !ok {
		return nil, unknown("kind of target", a.kind, kinds)
	}
	settings, err := formOf(d.Kind()).read(a.settings)
	return append([]schema.Setting{{Name: "kind", Value: a.kind}}, settings...), err
}

// newWorkspace is a file for a folder that has none. Its name is that of the folder.
func newWorkspace() []byte {
	name := "workspace"
	if here, err := os.Getwd(); err == nil {
		base := regexp.MustCompile(`[^a-z0-9._-]+`).ReplaceAllString(strings.ToLower(filepath.Base(here)), "-")
		name = or(strings.Trim(base, "-._"), name)
	}
	return fmt.Appendf(nil, "# The places where stages run, by name.\namlflow: v1\nworkspace: %.63s\n", name)
}

// foresee reads the file as it would be, and shows what is wrong with it.
func (p *program) foresee(one addition, name string) (schema.Target, error) {
	w, found := schema.ReadWorkspace(engine.Shorter(one.file), one.text)
	t, err := targetNamed(w, name)
	if err != nil {
		return t, err
	}
	if found = append(found, plan.CheckTarget(w, t, p.drivers())...); !found.Bad() {
		return t, nil
	}
	if p.output == "json" {
		if err := diag.JSON(p.out, found.Sort()); err != nil {
			return t, err
		}
		return t, silently(exitInvalid)
	}
	p.findings(p.err, found.Sort(), linesOf(one.text))
	p.say("nothing was written")
	return t, silently(exitInvalid)
}

// write changes the file, unless it has the target already or there is something left to
// confirm.
func (a addition) write(left []target.Introduction) error {
	if a.text == nil || len(left) > 0 {
		return nil
	}
	if !a.fresh {
		return rewrite(a.file, a.text)
	}
	f, err := os.OpenFile(a.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(a.text)
	return errors.Join(err, f.Close())
}

// sayAdded says what was done, or what is left to confirm first.
func (p *program) sayAdded(one addition, left []target.Introduction) error {
	added := one.text != nil && len(left) == 0
	if p.output == "json" {
		if left == nil {
			left = []target.Introduction{}
		}
		if err := p.json(map[string]any{"target": one.target.Name, "kind": one.target.Kind, "file": engine.Shorter(one.file), "added": added, "confirm": left}); err != nil {
			return err
		}
	}
	switch {
	case len(left) > 0:
		p.sayUnconfirmed(left)
		return silently(exitNotAllowed)
	case one.fresh:
		p.say("%s is made, with the targets local and %s", one.file, one.target.Name)
	case added:
		p.say("target %q is added to %s", one.target.Name, engine.Shorter(one.file))
	default:
		p.say("target %q is there already, and nothing was written", one.target.Name)
	}
	p.say("try it:  %s target check %s", invocation(), one.target.Name)
	return nil
}
