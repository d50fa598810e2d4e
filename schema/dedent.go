package schema

import (
	"fmt"
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
	first := ""
	for _, f := range beside.fields[beside.index[own]+1:] {
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
	switch steps := strings.Split(path, "/"); len(steps) {
	case 3:
		part = "/$defs/" + map[string]string{"stages": "stage", "finally": "stage", "params": "param"}[steps[1]]
	case 4:
		part = "/$defs/" + steps[3]
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

// placeCure is the cure of a wrong type that only the place in the file tells; ""
// when there is none.
func placeCure(path string, given any) string {
	steps := strings.Split(path, "/")
	text, _ := given.(string)
	_, isMap := given.(map[string]any)
	switch key := steps[len(steps)-1]; {
	case len(steps) == 2 && (key == "stages" || key == "finally" || key == "params") && isList(given):
		return "write `NAME:` for each, without a dash, and its keys indented below it"
	case len(steps) == 3 && steps[1] == "params" && Type(text).words() != text:
		return fmt.Sprintf("write { type: %s }", text)
	case len(steps) == 3 && steps[1] == "params" && !isMap && !isList(given) && compact(given) != "":
		return fmt.Sprintf("write { type: %s, default: %s }", typeOf(given), compact(given))
	case len(steps) == 3 && (steps[1] == "stages" || steps[1] == "finally") && text != "":
		return scriptCure(text)
	case len(steps) == 4 && key == "command" && text != "" && !strings.ContainsAny(text, `"'\$,[]{}`+"`|&;<>*#"):
		return fmt.Sprintf("write [%s], or `run:` for a line of shell", strings.Join(strings.Fields(text), ", "))
	case len(steps) == 4 && key == "command" && text != "":
		return "write it behind `run:`, or as a list of the program and its arguments"
	case key == "run" && isList(given):
		return "write `run: |` and the commands below one another, without dashes"
	case len(steps) == 4 && key == "retry" && typeOf(given) == Integer:
		return fmt.Sprintf("write { attempts: %v }", given)
	case path == "/engine/tls" && given == true:
		return "write {}"
	}
	return ""
}

// scriptCure is for a stage that is only text, perhaps for want of a colon.
func scriptCure(text string) string {
	if key, rest, ok := strings.Cut(text, " "); ok && (key == "run" || key == "command" || key == "deploy") {
		return fmt.Sprintf("write %s: %s", key, shorten(rest))
	}
	return "write it behind `run:`, on a line indented below the name"
}

// typeOf is the type that a parameter with this default would have.
func typeOf(v any) Type {
	switch v.(type) {
	case bool:
		return Boolean
	case int, int64:
		return Integer
	case float64:
		return Number
	case []any:
		return List
	}
	return String
}
