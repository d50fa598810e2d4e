package schema

import (
	"errors"
	"maps"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/amlflow/amlflow/schema/diag"
)

// settingsForms are the forms of the kinds of targets, which are few, by kind and text.
var settingsForms sync.Map

func settingsForm(kind, text string) form {
	key := [2]string{kind, text}
	if f, ok := settingsForms.Load(key); ok {
		return f.(form)
	}
	f := newForm(kind+".settings.schema.json", []byte(text))
	settingsForms.Store(key, f)
	return f
}

// CheckSettings compares what the workspace says of a target with the JSON
// Schema that the target's kind publishes. It is a mistake of ours, and panics,
// when that schema is not one.
func (w *Workspace) CheckSettings(t Target, settings []byte) diag.Findings {
	if w.Source == nil {
		return nil
	}
	f := settingsForm(t.Kind, string(settings))
	v, _ := w.Source.Value(t.Path)
	given := maps.Clone(asMap(v))
	if given == nil {
		return nil // reported as a wrong type before
	}
	delete(given, "kind")
	delete(given, "cost")
	sh := &shaper{form: f, kind: "target", base: t.Path, source: w.Source}
	var bad *jsonschema.ValidationError
	if errors.As(f.check().Validate(given), &bad) {
		sh.leaves(bad)
	}
	return sh.findings.Sort()
}
