package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"
)

// settingsForm is the JSON Schema of the settings of a kind of target.
type settingsForm struct{ doc map[string]any }

func formOf(k target.Kind) settingsForm {
	var f settingsForm
	_ = json.Unmarshal(k.Settings, &f.doc) // the exam of drivers sees that it is one
	return f
}

// follow is the schema itself, or the one in the same document that it refers to, with
// what it says beside that.
func (f settingsForm) follow(v any) map[string]any {
	s, _ := v.(map[string]any)
	ref, _ := s["$ref"].(string)
	name, ok := strings.CutPrefix(ref, "#/$defs/")
	if !ok {
		return s
	}
	defs, _ := f.doc["$defs"].(map[string]any)
	out := maps.Clone(f.follow(defs[name]))
	maps.Copy(out, s)
	return out
}

// at is the schema of a setting; nil when there is none.
func (f settingsForm) at(path ...string) map[string]any {
	s := f.doc
	for _, step := range path {
		below, _ := s["properties"].(map[string]any)
		if s = f.follow(below[step]); s == nil {
			return nil
		}
	}
	return s
}

// settingRow is one setting as people read it.
type settingRow struct{ Name, Type, Default, Means string }

// rows lists the settings in the order of their names, and those inside of one below it.
func (f settingsForm) rows(within ...string) []settingRow {
	s := f.at(within...)
	below, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	var out []settingRow
	for _, name := range slices.Sorted(maps.Keys(below)) {
		path := append(slices.Clone(within), name)
		one := f.at(path...)
		r := settingRow{Name: strings.Join(path, "."), Type: typeOf(one), Default: "-"}
		r.Means, _ = one["description"].(string)
		if d, ok := one["default"]; ok {
			r.Default = value(d)
		} else if slices.Contains(required, any(name)) {
			r.Default = "must be said"
		}
		out = append(append(out, r), f.rows(path...)...)
	}
	return out
}

// typeOf says what a setting takes, in a word or two.
func typeOf(s map[string]any) string {
	if choices, ok := s["enum"].([]any); ok {
		var words []string
		for _, c := range choices {
			words = append(words, value(c))
		}
		return strings.Join(words, "|")
	}
	if c, ok := s["const"]; ok {
		return value(c)
	}
	return or(strings.Join(types(s), "|"), "any")
}

// types are the names of the types that a schema takes.
func types(s map[string]any) []string {
	var names []string
	switch t := s["type"].(type) {
	case string:
		names = []string{t}
	case []any:
		for _, one := range t {
			names = append(names, fmt.Sprint(one))
		}
	}
	return names
}

// hidden is what stands for a value that is not shown.
const hidden = "***"

// shown are the settings of a target without the values that its kind marks as
// write-only: what is secret in itself, and not only says where a secret is.
func (f settingsForm) shown(settings json.RawMessage) map[string]any {
	all := map[string]any{}
	_ = json.Unmarshal(settings, &all) // a target that was read has an object, or nothing
	return f.veil(all)
}

func (f settingsForm) veil(all map[string]any, within ...string) map[string]any {
	for name, v := range all {
		path := append(slices.Clone(within), name)
		if f.at(path...)["writeOnly"] == true {
			all[name] = hidden
		} else if inner, ok := v.(map[string]any); ok {
			all[name] = f.veil(inner, path...)
		}
	}
	return all
}

// read makes settings of KEY=VALUE, in their order; KEY may name one inside of another,
// as a.b. A setting that takes a list may be given several times.
func (f settingsForm) read(pairs []string) ([]schema.Setting, error) {
	var out []schema.Setting
	all := map[string]any{}
	for _, kv := range pairs {
		key, text, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, usage(fmt.Errorf("%q gives no value: write KEY=VALUE", kv))
		}
		path := strings.Split(key, ".")
		if err := put(all, path, key, f.valueOf(path, text)); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(s schema.Setting) bool { return s.Name == path[0] }) {
			out = append(out, schema.Setting{Name: path[0]})
		}
	}
	for i := range out {
		out[i].Value = all[out[i].Name]
	}
	return out, nil
}

// put gives a setting its value, or one more item.
func put(into map[string]any, path []string, key string, v any) error {
	for _, step := range path[:len(path)-1] {
		inner, ok := into[step].(map[string]any)
		if _, there := into[step]; !ok && there {
			return usage(fmt.Errorf("%q is inside of %q, which was given another value", key, step))
		}
		if !ok {
			inner = map[string]any{}
			into[step] = inner
		}
		into = inner
	}
	last := path[len(path)-1]
	before, there := into[last]
	have, isList := before.([]any)
	more, also := v.([]any)
	switch {
	case there && isList && also:
		v = append(have, more...)
	case there:
		return usage(fmt.Errorf("%q is given twice: it takes one value", key))
	}
	into[last] = v
	return nil
}

// valueOf reads a value as YAML, but leaves text as it is where the setting takes
// nothing else, and makes a list of one item where it takes a list.
func (f settingsForm) valueOf(path []string, text string) any {
	kinds := types(f.at(path...))
	if slices.Equal(kinds, []string{"string"}) {
		return text
	}
	var v any = text
	if s, found := schema.Read("", []byte("- "+text)); !found.Bad() {
		if list, ok := s.Tree.([]any); ok && len(list) == 1 && list[0] != nil {
			v = list[0]
		}
	}
	if _, isList := v.([]any); !isList && slices.Equal(kinds, []string{"array"}) {
		v = []any{v}
	}
	return v
}
