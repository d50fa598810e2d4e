package engine

import (
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
)

// models lets plans look into the registry.
type models struct {
	registry.Registry
	names []string
}

func newModels(r registry.Registry) models {
	names, _ := r.Names() // a registry that cannot be read is said to be so when it is asked for a model
	return models{r, names}
}

// Has implements plan.Models.
func (m models) Has(name string) bool { return slices.Contains(m.names, name) }

// Find implements plan.Models.
func (m models) Find(name, which string) (plan.Model, error) {
	v, err := m.Registry.Find(name, which)
	if err != nil {
		return plan.Model{}, err
	}
	out := plan.Model{Name: v.Model, Version: v.Version, Artifact: v.Artifact}
	if which[0] > '9' {
		out.Label = which
	}
	for _, r := range v.Risky {
		out.Risks = append(out.Risks, strings.TrimSpace(r.File+" ("+r.Why+")"))
	}
	return out, nil
}

// registered is the content of a model that a parameter was given by name.
func (p *Prepared) registered(name, which string) (target.Ref, error) {
	v, err := registry.Open(p.Store).Find(name, which)
	return v.Artifact, err
}
