package plan

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"
)

// Models finds models of the registry. A plan names their content, so that it means the
// same whoever gets a label afterwards.
type Models interface {
	// Find returns the version that a version number or label of a model names. An error
	// says why there is none, and what there is instead.
	Find(name, which string) (Model, error)
	// Has reports whether there is a model of that name.
	Has(name string) bool
}

// Model is a version of a model in the registry.
type Model struct {
	Name     string     `json:"name"`
	Version  int        `json:"version"`
	Label    string     `json:"label,omitempty"` // by which it was found
	Artifact target.Ref `json:"artifact"`
	Risks    []string   `json:"risks,omitempty"` // files of it that run code when they are loaded
}

// String is how people know the model: digits@3, by the label production.
func (m Model) String() string {
	text := fmt.Sprintf("%s@%d", m.Name, m.Version)
	if m.Label != "" {
		text += ", now " + m.Label
	}
	return text
}

// ofRegistry finds the model that a text names. It is nil when the text names none; only
// where a model must be named that is a mistake. A value that an expression gave as a
// whole is a value, whatever it looks like.
func (b *staging) ofRegistry(l *layer, at, text string, v Value, must bool) (*Model, Value) {
	known, isText := v.Known.(string)
	name, which, is := strings.Cut(known, "@")
	if !isText || !is || wholly(text) || !reference.MatchString(known) {
		return nil, v
	}
	if b.o.Models == nil {
		if !must && !literalText(text) {
			return nil, v
		}
		return &Model{Name: name, Label: which}, v // as it is written, for who looks nothing up
	}
	if !must && !b.o.Models.Has(name) {
		return nil, v
	}
	m, err := b.o.Models.Find(name, which)
	if err != nil {
		b.bad(l, at, "unknown-model", err.Error(), "`amlflow model ls` lists the models that there are")
		return nil, v
	}
	return &m, Value{Known: string(m.Artifact)}
}

// wholly reports whether a text is one expression and nothing else.
func wholly(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "${{") && strings.HasSuffix(text, "}}") && strings.Count(text, "${{") == 1
}

var reference = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*@([0-9]+|[a-z]+)$`)

// registered decides which outputs the registry keeps, and under which names: those of
// type model by themselves, others when `register` says so.
func (b *staging) registered() {
	l := b.says("register")
	r := l.s.Register
	if r != nil && r.None {
		b.out.NoModels = true
		return
	}
	for _, out := range b.out.Outputs {
		if !(schema.Type(out.Type)).IsArtifact() {
			continue
		}
		if v, said := b.modelName(l, r, out.Name); said {
			b.out.Models = append(b.out.Models, Var{Name: out.Name, Value: v})
		} else if out.Type == target.Model {
			b.out.Models = append(b.out.Models, Var{Name: out.Name, Value: Value{Known: b.defaultName(out.Name)}})
		}
	}
}

// modelName is the name that the stage gives to an output.
func (b *staging) modelName(l *layer, r *schema.Register, output string) (v Value, said bool) {
	if r == nil {
		return v, false
	}
	for _, n := range r.Names {
		if n.Name != output {
			continue
		}
		got := b.read(l, b.text(l, n.Path, n.Text))
		if got.Expr != "" {
			b.late("register/"+output, one{n, l})
		} else if name, _ := got.Known.(string); !schema.ValidName(name) {
			b.bad(l, n.Path, "bad-name", fmt.Sprintf("a model cannot be named %.60q", name), "use small letters, digits, and . _ - between them, at most 63")
		}
		return got.Value, true
	}
	return v, false
}

// defaultName tells an output from those of all other stages; one that is called model
// needs no word of its own.
func (b *staging) defaultName(output string) string {
	name := b.p.Name + "." + b.out.Name
	if output != "model" {
		name += "." + output
	}
	return name
}
