package flow

import (
	"path"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
)

// Secrets are the secrets of all stages of a plan, also of those in pipelines that
// stages run, and where they are kept, each once. Dir is the workspace's folder.
func Secrets(p *plan.Plan, dir string) []workers.Secret {
	var out []workers.Secret
	add := func(all []workers.Secret) {
		for _, s := range all {
			if !slices.ContainsFunc(out, func(o workers.Secret) bool { return o.Name == s.Name }) {
				out = append(out, s)
			}
		}
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		add(secretsOf(s, dir))
		if s.Nested != nil {
			add(Secrets(s.Nested.Plan, dir))
		}
	}
	return out
}

// secretsOf says where a worker finds the secrets of a stage.
func secretsOf(s *plan.Stage, dir string) []workers.Secret {
	var out []workers.Secret
	for _, secret := range s.Secrets {
		ref := workers.Secret{Var: secret.Var, Name: secret.Name, Env: secret.Env, File: secret.File}
		if secret.File != "" && !path.IsAbs(secret.File) && !strings.HasPrefix(secret.File, "~/") {
			ref.File = path.Join(dir, secret.File)
		}
		if secret.Store {
			ref.Store = path.Join(dir, ".amlflow", "secrets.age")
		}
		out = append(out, ref)
	}
	return out
}
