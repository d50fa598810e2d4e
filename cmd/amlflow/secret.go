package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/secrets"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (p *program) secretVerb() *cobra.Command {
	return group("secret", "Keep, list and remove the secrets of the workspace", p.secretSetVerb(), p.secretLsVerb(), p.secretRmVerb())
}

func (p *program) secretSetVerb() *cobra.Command {
	var file string
	v := &cobra.Command{
		Use: "set NAME", Short: "Keep a secret in the workspace's encrypted store", Args: takes(1, 1),
		Long: `Set keeps a value in .amlflow/secrets.age beside amlflow.yaml. The value comes from
standard input; on a terminal it is asked for, and not shown. One line break at its
end is dropped. The file may be committed: without the key, which is secrets.key in
the state folder, it says nothing. Another key comes from $AMLFLOW_SECRETS_KEY, or
from the file in $AMLFLOW_SECRETS_KEY_FILE.`,
		ValidArgsFunction: p.completeSecrets,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return p.setSecret(ctx, args[0], file)
		},
	}
	v.Flags().StringVar(&file, "from-file", "", "take the value from this file")
	return p.prints(v)
}

func (p *program) setSecret(ctx context.Context, name, file string) error {
	w, store, err := p.secretStore()
	if err != nil {
		return err
	}
	if !schema.ValidName(name) {
		return usage(fmt.Errorf("%q cannot name a secret: use small letters, digits and . _ -, begin with a letter or digit, and use at most 63", name))
	}
	value, err := p.secretValue(ctx, name, file)
	if err != nil {
		return err
	}
	if err := store.Set(ctx, name, value); err != nil {
		return err
	}
	p.say("secret %q is kept, encrypted, in %s", name, near(store.Path))
	p.sayHowItIsNamed(w, name)
	return nil
}

// sayHowItIsNamed says what is left to do before stages can use what was stored.
func (p *program) sayHowItIsNamed(w *schema.Workspace, name string) {
	i := slices.IndexFunc(w.Secrets, func(s schema.Secret) bool { return s.Name == name })
	switch {
	case i < 0:
		p.say("%s does not name it yet; add:", schema.FileName)
		p.say("  secrets:\n    %s: { store: true }", name)
	case !w.Secrets[i].Store:
		p.say("%s %s takes %q from elsewhere; to use what was kept now, write %s: { store: true }", p.paintErr(yellow, "warning:"), schema.FileName, name, name)
	}
}

// secretStore is the store of the workspace that the current folder belongs to.
func (p *program) secretStore() (*schema.Workspace, secrets.Store, error) {
	w, err := p.workspace()
	if err != nil {
		return nil, secrets.Store{}, err
	}
	if w.Source == nil {
		return nil, secrets.Store{}, ended{exitNotFound, fmt.Errorf("there is no %s here or above, and secrets belong to a workspace: write one, or go where it is", schema.FileName)}
	}
	dir, err := filepath.Abs(w.Dir)
	return w, secrets.Store{Home: p.home, Path: secrets.StoreFile(dir)}, err
}

// mostRead is more than any secret may have: the store says what is too long.
const mostRead = 1 << 20

func (p *program) secretValue(ctx context.Context, name, file string) (string, error) {
	from := p.in
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", absentFile(file, err)
		}
		defer f.Close()
		from = f
	} else if f, ok := p.in.(*os.File); ok && terminal(f) {
		return p.askSecret(ctx, f, name)
	}
	text, err := io.ReadAll(io.LimitReader(from, mostRead))
	return secrets.Trim(string(text)), err
}

func absentFile(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %q: %w", file, err)
	}
	return err
}

// askSecret reads a line that is not shown. Ctrl-C must not leave a terminal that
// shows nothing any more.
func (p *program) askSecret(ctx context.Context, f *os.File, name string) (string, error) {
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", err
	}
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	fmt.Fprintf(p.err, "value of secret %q (it is not shown): ", name)
	go func() {
		text, err := term.ReadPassword(int(f.Fd()))
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		p.say("")
		return string(a.text), a.err
	case <-ctx.Done():
		p.say("")
		return "", errors.Join(silently(exitInterrupted), term.Restore(int(f.Fd()), before))
	}
}

// near is a path as it is shortest from here.
func near(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// secretRecord is a secret as machines read it.
type secretRecord struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`     // env, file or store
	Where    string  `json:"where"`    // the variable, or the path
	Declared bool    `json:"declared"` // in amlflow.yaml
	Usable   bool    `json:"usable"`   // by a run that this shell would start now
	Reason   *string `json:"reason"`   // why it is not
}

func (p *program) secretLsVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "ls", Short: "List the secrets of the workspace, and whether they can be had now; never their values", Args: takes(0, 0),
		Long: `Ls lists what amlflow.yaml names, and what its store holds beside that.
-o json prints {"secrets":[{"name","kind","where","declared","usable","reason"}]}.`,
		RunE: func(*cobra.Command, []string) error {
			list, err := p.secrets()
			if err != nil {
				return err
			}
			return p.listSecrets(list)
		},
	}, "json", "name")
}

// secrets are those that the workspace names, and those of its store.
func (p *program) secrets() ([]secretRecord, error) {
	w, store, err := p.secretStore()
	if err != nil {
		return nil, err
	}
	list := []secretRecord{}
	for _, s := range w.Secrets {
		list = append(list, p.secret(w, store, s, true))
	}
	names, _ := store.Names() // what is wrong with the store is said of each of its secrets
	for _, name := range names {
		if !slices.ContainsFunc(w.Secrets, func(s schema.Secret) bool { return s.Name == name && s.Store }) {
			list = append(list, p.secret(w, store, schema.Secret{Name: name, Store: true}, false))
		}
	}
	slices.SortStableFunc(list, func(a, b secretRecord) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (p *program) secret(w *schema.Workspace, store secrets.Store, s schema.Secret, declared bool) secretRecord {
	r := secretRecord{Name: s.Name, Declared: declared, Usable: true}
	ref := secrets.Ref{Name: s.Name, Env: s.Env}
	switch {
	case s.Env != "":
		r.Kind, r.Where = "env", s.Env
	case s.File != "":
		ref.File = s.File
		if !filepath.IsAbs(s.File) && !strings.HasPrefix(s.File, "~/") {
			ref.File = whole(filepath.Join(w.Dir, s.File))
		}
		r.Kind, r.Where = "file", ref.File
	default:
		ref.Store = store.Path
		r.Kind, r.Where = "store", store.Path
	}
	if err := secrets.Check(p.home, ref, os.LookupEnv); err != nil {
		why := err.Error()
		r.Usable, r.Reason = false, &why
	}
	return r
}

func (p *program) listSecrets(list []secretRecord) error {
	switch p.output {
	case "json":
		return p.json(map[string]any{"secrets": list})
	case "name":
		for _, r := range list {
			p.print("%s", r.Name)
		}
		return nil
	}
	rows := [][]string{p.heading("SECRET", "KIND", "WHERE", "NOW")}
	for _, r := range list {
		now := p.paintOut(green, "ok")
		if !r.Usable {
			now = p.paintOut(red, "no: ") + *r.Reason
		}
		if !r.Declared {
			now += ", but " + schema.FileName + " does not name it"
		}
		where := near(r.Where)
		if r.Kind == "env" {
			where = "$" + r.Where
		}
		rows = append(rows, []string{r.Name, r.Kind, where, now})
	}
	table(p.out, rows)
	return nil
}

func (p *program) secretRmVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "rm NAME", Short: "Remove a secret from the workspace's store", Args: takes(1, 1), ValidArgsFunction: p.completeSecrets,
		RunE: func(cmd *cobra.Command, args []string) error {
			w, store, err := p.secretStore()
			if err != nil {
				return err
			}
			found, err := store.Remove(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !found {
				names, _ := store.Names()
				return unknown("stored secret", args[0], names)
			}
			p.say("secret %q is removed from %s", args[0], near(store.Path))
			if slices.ContainsFunc(w.Secrets, func(s schema.Secret) bool { return s.Name == args[0] && s.Store }) {
				p.say("%s %s still names it", p.paintErr(yellow, "warning:"), schema.FileName)
			}
			return nil
		},
	})
}

// completeSecrets offers the names of the workspace's secrets.
func (p *program) completeSecrets(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 && p.settle() == nil {
		list, _ := p.secrets()
		for _, r := range list {
			names = append(names, r.Name+"\t"+r.Kind)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
