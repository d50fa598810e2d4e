package rehearsal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"
)

// names are the artifacts of a rehearsal: the names that the engine has for them, and
// the texts that people have.
type names map[target.Ref]string

// ref gives an artifact a name of the form that real ones have.
func (n names) ref(text, typ string) target.Ref {
	sum := sha256.Sum256([]byte(text))
	ref := target.Ref("sha256:" + hex.EncodeToString(sum[:]))
	if typ != target.File {
		ref = "tree:" + ref
	}
	n[ref] = text
	return ref
}

var refs = regexp.MustCompile(`(tree:)?sha256:[0-9a-f]{64}`)

// text puts people's names into a text.
func (n names) text(s string) string {
	return refs.ReplaceAllStringFunc(s, func(ref string) string {
		if text, ok := n[target.Ref(ref)]; ok {
			return text
		}
		return ref
	})
}

// value puts them into any plain value.
func (n names) value(v any) any {
	switch v := v.(type) {
	case string:
		return n.text(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = n.value(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = n.value(v[name])
		}
		return out
	}
	return v
}

// gather names the folder that holds the artifacts of a JSON list.
func (n names) gather(list string) (target.Ref, error) {
	var all []any
	if err := json.Unmarshal([]byte(list), &all); err != nil {
		return "", fmt.Errorf("%.60q is not a list of artifacts", list)
	}
	text, err := json.Marshal(n.value(all))
	return n.ref(string(text), target.Folder), err
}

// nameParams names what parameters were given that are artifacts.
func (p *play) nameParams(made *plan.Plan) {
	given := map[string]target.Ref{}
	for name, typ := range p.o.Artifacts {
		given[name] = p.names.ref(fmt.Sprint(made.Params[name]), fileOr(typ))
	}
	made.Attach(nil, given)
}

// nameModels names the models of the registry that a plan uses, which nobody has looked up:
// "digits@production" is called so.
func (p *play) nameModels(made *plan.Plan) {
	name := func(m *plan.Model, v *plan.Value) {
		if m != nil && m.Artifact == "" {
			v.Known = string(p.names.ref(fmt.Sprint(v.Known), target.Model))
		}
	}
	for i := range made.Stages {
		s := &made.Stages[i]
		for k := range s.Inputs {
			name(s.Inputs[k].Model, &s.Inputs[k].Value)
		}
		if s.Deploy != nil && s.Deploy.Model != nil {
			name(s.Deploy.Named, s.Deploy.Model)
		}
		if s.Nested != nil {
			p.nameModels(s.Nested.Plan)
		}
	}
}

func fileOr(t schema.Type) string {
	if t == schema.File {
		return target.File
	}
	return target.Folder
}
