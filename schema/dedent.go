package schema

import (
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// dedented looks for keys that were meant to stand below the empty key at path and
// stand beside it: those that follow it, and that its part of the file has and
// theirs has not. It returns the first, and keeps from reporting what else they break.
func (sh *shaper) dedented(path string, rule map[string]any) string {
	if sh.base != "" || !slices.Contains(typesOf(rule["type"]), "object") {
		return ""
	}
	i := strings.LastIndexByte(path, '/')
	parent, own := path[:i], unescape(path[i+1:])
	beside, _, _ := sh.source.walk(parent)
	if beside == nil {
		return ""
	}
	below, known := asMap(rule["properties"]), sh.keysAt(parent)
	if asMap(rule["additionalProperties"]) != nil {
		below = nil // it has names of its own beside the known ones
	}
	first := ""
	for _, f := range beside.fields[beside.at(own)+1:] {
		if below != nil && below[f.name] == nil || below == nil && sh.belongs(known, f.name) || sh.strayed[join(parent, f.name)] {
			break
		}
		if sh.strayed == nil {
			sh.strayed = map[string]bool{}
		}
		sh.strayed[join(parent, f.name)] = true
		if first == "" {
			first = f.name
		}
	}
	return first
}

// belongs reports whether key is one of those known, or one of them misspelt.
func (sh *shaper) belongs(known map[string]any, key string) bool {
	return known[key] != nil || sh.nearest.name(key, keysOf(known)) != ""
}

// keysAt are the keys that the part of the file at path may have.
func (sh *shaper) keysAt(path string) map[string]any {
	part := ""
	if key, ok := stageKey(path); ok && key == "" {
		part = "/$defs/stage"
	} else if ok {
		part = "/$defs/" + key
	} else if steps := strings.Split(path, "/"); len(steps) == 3 && steps[1] == "params" {
		part = "/$defs/param"
	} else if path == "/defaults" {
		part = "/$defs/defaults"
	}
	return asMap(sh.form.at(part)["properties"])
}

// astray reports whether f is about a key that was meant to stand elsewhere.
func (sh *shaper) astray(f diag.Finding) bool {
	for path := f.Path; path != "" && len(sh.strayed) > 0; path = path[:strings.LastIndexByte(path, '/')] {
		if sh.strayed[path] {
			return true
		}
	}
	return false
}
