package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// stageKey is the part of path that lies inside of a stage: "retry/on" of
// "/stages/train/retry/on". It is false for other parts of a file.
func stageKey(path string) (string, bool) {
	steps := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	switch {
	case len(steps) > 1 && (steps[0] == "stages" || steps[0] == "finally"):
		return strings.Join(steps[2:], ""), true
	case steps[0] == "stage":
		return strings.Join(steps[1:], "/"), true
	}
	return "", false
}

// placeCure is the cure of a wrong type that only the place in the file tells; ""
// when there is none.
func (sh *shaper) placeCure(path string, given any) string {
	if key, ok := stageKey(path); ok && key == "" {
		return wholeStageCure(given)
	} else if ok {
		return sh.keyCure(key, path, given)
	}
	if key, ok := strings.CutPrefix(path, "/defaults/"); ok {
		return sh.keyCure(key, path, given)
	}
	steps := strings.Split(path, "/")
	text, _ := given.(string)
	_, isMap := given.(map[string]any)
	switch key := steps[len(steps)-1]; {
	case len(steps) == 2 && (key == "stages" || key == "finally" || key == "params" || key == "cases" || key == "targets") && isList(given):
		return "write `NAME:` for each, without a dash, and its keys indented below it"
	case len(steps) == 3 && steps[1] == "params" && Type(text).words() != text:
		return fmt.Sprintf("write { type: %s }", text)
	case len(steps) == 3 && steps[1] == "params" && !isMap && !isList(given) && compact(given) != "":
		return fmt.Sprintf("write { type: %s, default: %s }", typeOf(given), compact(given))
	case len(steps) == 3 && steps[1] == "targets" && text != "":
		return "write { kind: local }"
	case len(steps) == 3 && steps[1] == "secrets" && text != "":
		variable := variableName(steps[2])
		text = strings.Trim(text, "${}")
		if capitals.MatchString(text) {
			variable = text
		}
		return fmt.Sprintf("write { env: %s }, the variable that holds it; the value itself is never written into a file", variable)
	case path == "/concurrency":
		return sh.keyCure("concurrency", path, given)
	case path == "/on":
		return "write `on: { schedule: [{ cron: \"0 3 * * *\" }] }`"
	case path == "/on/schedule":
		return scheduleCure(text, given)
	case path == "/engine/tls" && given == true:
		return "write {}"
	}
	return ""
}

// scheduleCure is for a schedule that is not in a list.
func scheduleCure(text string, given any) string {
	switch {
	case durationPattern.MatchString(text):
		return fmt.Sprintf("write [{ every: %s }]", text)
	case text != "":
		return fmt.Sprintf("write [{ cron: %q }]", shorten(text))
	case asMap(given) != nil:
		return "put it in a list: write [{ … }], or a dash before its first key"
	}
	return "write [{ cron: \"0 3 * * *\" }]"
}

func wholeStageCure(given any) string {
	if text, _ := given.(string); text != "" {
		return scriptCure(text)
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

// cured are the cures for values of a wrong type, by the key of a stage. Each is
// given the value, its text as it stands in the file, and whether it is a list.
var cured = map[string]func(given any, text string) string{
	"command": func(_ any, text string) string {
		if !strings.ContainsAny(text, `"'\$,[]{}`+"`|&;<>*#") {
			return fmt.Sprintf("write [%s], or `run:` for a line of shell", strings.Join(strings.Fields(text), ", "))
		}
		return "write it behind `run:`, or as a list of the program and its arguments"
	},
	"retry/on/*": func(_ any, text string) string { return "write \"exit " + text + "\"" },
	"retry":      func(_ any, text string) string { return fmt.Sprintf("write { attempts: %s }", text) },
	"until":      untilCure,
	"sweep/space/*": func(given any, text string) string {
		if isList(given) {
			return fmt.Sprintf("write { choice: %s }, or { uniform: %s } for anything between", compact(given), compact(given))
		}
		return "write a distribution, such as { uniform: [0, 1] } or { choice: [a, b] }"
	},
	"sweep/objective": func(_ any, text string) string {
		return fmt.Sprintf("write { minimize: %s } or { maximize: %s }", or(text, "METRIC"), or(text, "METRIC"))
	},
	"sweep/algorithm": func(_ any, text string) string { return kindCure(text, "tpe", "random", "grid", "sobol") },
	"sweep/stop":      func(_ any, text string) string { return kindCure(text, "asha", "bandit", "median", "truncation") },
	"sweep/limits": func(_ any, text string) string {
		return fmt.Sprintf("write { trials: %s }", or(text, "20"))
	},
	"approve": approveCure,
	"matrix": func(given any, text string) string {
		if text != "" {
			return fmt.Sprintf("give it a name: { NAME: %s }", quotedIf(text))
		}
		return "give the list a name: { NAME: [VALUE, …] }, read as ${{ matrix.NAME }}"
	},
	"each": func(given any, text string) string {
		if typeOf(given) == Integer {
			return fmt.Sprintf("write \"${{ 1..%s }}\" to run it %s times, with the number as ${{ each.item }}", text, text)
		}
		return "write a list such as [a, b], or an expression that gives one"
	},
	"concurrency": func(given any, text string) string {
		if typeOf(given) == Integer {
			return fmt.Sprintf("write { group: NAME, limit: %s }; to bound a `matrix` or `each` write `parallel: %s`", text, text)
		}
		return "write { group: NAME, limit: N }"
	},
	"environment": environmentCure,
	"environment/python": func(given any, text string) string {
		switch {
		case isList(given):
			return "write { packages: […] }"
		case strings.HasSuffix(text, ".txt"):
			return fmt.Sprintf("write { requirements: %s }", text)
		}
		return fmt.Sprintf("write { version: %q }", text)
	},
	"environment/python/version": func(_ any, text string) string { return fmt.Sprintf("write %q, in quotes", text) },
	"environment/python/requirements": func(any, string) string {
		return "name a file here; a list is written as `packages: […]`"
	},
	"environment/python/packages": func(_ any, text string) string {
		if strings.HasSuffix(text, ".txt") {
			return fmt.Sprintf("write `requirements: %s`", text)
		}
		return fmt.Sprintf("write [%s]", text)
	},
	"cache": func(_ any, text string) string {
		if mendTime(text) != "" || durationPattern.MatchString(text) {
			return fmt.Sprintf("write { max_age: %s }", text)
		}
		return "write true, or { max_age: 7d }"
	},
	"secrets/*": func(any, string) string {
		return "write the secret's name alone; where it is kept is said in " + FileName
	},
	"secrets": func(given any, text string) string {
		if m := secretName.FindStringSubmatch(text); m != nil {
			text = m[1]
		}
		for _, item := range asList(given) {
			if name, ok := item.(string); ok && text == "" {
				text = name
			}
		}
		if text == "" {
			return "write { VARIABLE: NAME }: the variable, and the name of the secret in " + FileName
		}
		return fmt.Sprintf("write { %s: %s }: the variable, and the name of the secret in %s", variableName(text), secretFor(text), FileName)
	},
	"env": func(given any, text string) string {
		if m := secretName.FindStringSubmatch(text); m != nil {
			return fmt.Sprintf("write `secrets: { %s: %s }` instead of `env`", variableName(m[1]), secretFor(m[1]))
		}
		return "write { " + or(pairsOf(given), "VARIABLE: VALUE").(string) + " }"
	},
	"with":   func(any, string) string { return "write { NAME: VALUE }, one for each parameter" },
	"inputs": func(any, string) string { return "write { NAME: \"${{ stages.STAGE.outputs.NAME }}\" }" },
	"outputs": func(given any, text string) string {
		return namesCure(given, text, "folder", "file, folder, model or another type")
	},
	"metrics":  func(given any, text string) string { return namesCure(given, text, "number", "number or integer") },
	"uses":     func(any, string) string { return "write one path, such as ./train.template.yaml" },
	"pipeline": func(any, string) string { return "write one path, such as ./evaluate.pipeline.yaml" },
	"parallel": func(given any, _ string) string {
		if asMap(given) != nil {
			return "write `matrix: { NAME: [VALUE, …] }` directly in the stage, and a number here"
		}
		return "write a whole number from 1 on"
	},
	"inputs/*": func(any, string) string {
		return "write NAME: \"${{ stages.STAGE.outputs.NAME }}\", one for each input"
	},
	"needs/*": func(given any, _ string) string {
		for _, key := range []string{"job", "stage", "name", "task"} {
			if name, ok := asMap(given)[key].(string); ok {
				return "write " + name
			}
		}
		return "write the name of a stage"
	},
	"target": func(given any, text string) string {
		return "write the name of a target, which " + FileName + " describes"
	},
}

// kindCure is for the name of a kind where a map with it belongs.
func kindCure(text, otherwise string, others ...string) string {
	kind := or(otherWords[strings.ToLower(text)], strings.ToLower(text)).(string)
	if !slices.Contains(others, kind) {
		kind = otherwise
	}
	return fmt.Sprintf("write { kind: %s }", kind)
}

func or(v any, otherwise string) any {
	if v == nil || v == "" {
		return otherwise
	}
	return v
}

// keyCure is the cure for a value of a wrong type of a stage or the defaults.
func (sh *shaper) keyCure(key, path string, given any) string {
	text := sh.source.text(path)
	if last := key[strings.LastIndexByte(key, '/')+1:]; last == "run" && isList(given) {
		return "write `run: |` and the commands below one another, without dashes"
	}
	switch name, ok := strings.CutPrefix(key, "matrix/"); {
	case ok && strings.HasPrefix(name, "include"), ok && strings.HasPrefix(name, "exclude"):
		return includeCure(name, given)
	case ok && !strings.Contains(name, "/"):
		return axisCure(name, given, text)
	}
	cure := cured[key]
	if i := strings.LastIndexByte(key, '/'); i > 0 && cure == nil {
		cure = cured[key[:i]+"/*"]
	}
	if cure == nil || key == "command" && text == "" || key == "retry" && typeOf(given) != Integer {
		return ""
	}
	return cure(given, text)
}

// axisCure is for a name of a matrix that has no list of values.
func axisCure(name string, given any, text string) string {
	switch joints.Replace(strings.ToLower(name)) {
	case "maxparallel", "parallel", "parallelism":
		return fmt.Sprintf("write `parallel: %s` beside `matrix:`", text)
	case "failfast":
		return "leave it out: when one fails, the others go on"
	}
	if m := asMap(given); m != nil {
		return "write each name with its values directly below `matrix:`"
	}
	return fmt.Sprintf("write [%s]", text)
}

func includeCure(name string, given any) string {
	key, below, _ := strings.Cut(name, "/")
	if asMap(given) != nil && below == "" {
		return "begin it with a dash: `" + key + ":` is a list of maps"
	}
	return "write a list of maps: `" + key + ": [{ NAME: VALUE }]`"
}

func untilCure(_ any, text string) string {
	if text == "" {
		return "write { when: \"${{ outputs.NAME }}\", attempts: 20, every: 30s }"
	}
	if !isExpression(text) {
		text = "${{ " + text + " }}"
	}
	return fmt.Sprintf("write { when: %s, attempts: 20, every: 30s }", quoted(text))
}

func approveCure(given any, text string) string {
	switch {
	case given == true:
		return "write { by: [NAME] }, or {} for anyone"
	case isList(given):
		return fmt.Sprintf("write { by: %s }", strings.NewReplacer(`"`, "", ",", ", ").Replace(compact(given)))
	case text != "" && strings.ContainsAny(text, " ?"):
		return fmt.Sprintf("write { message: %q }", text)
	}
	if text == "" {
		text = "NAME"
	}
	return fmt.Sprintf("write { by: [%s] }", text)
}

func environmentCure(given any, text string) string {
	switch {
	case strings.HasSuffix(text, "requirements.txt"):
		return fmt.Sprintf("write { python: { requirements: %s } }", text)
	case strings.HasSuffix(text, ".yml") || strings.HasSuffix(text, ".yaml"):
		return "write { python: { requirements: FILE } }, or an image"
	case strings.ContainsAny(text, ":/"):
		return fmt.Sprintf("write { image: %s }", text)
	}
	return "write { python: { … } } or { image: NAME }; the place where a stage runs is its `target`"
}

// namesCure is for a list of names where each needs a type.
func namesCure(given any, text, typ, types string) string {
	var all []string
	for _, item := range asList(given) {
		if name, ok := item.(string); ok && plainWord.MatchString(name) {
			all = append(all, name+": "+typ)
		}
	}
	if text != "" && !strings.ContainsAny(text, " ${") {
		all = []string{text + ": " + typ}
	}
	if len(all) == 0 {
		return fmt.Sprintf("write { NAME: %s }", typ)
	}
	return fmt.Sprintf("write { %s }, with its type: %s", shorten(strings.Join(all, ", ")), types)
}

// pairsOf are the variables of a list, written as A=1 or { name: A, value: 1 }.
func pairsOf(given any) string {
	var pairs []string
	for _, item := range asList(given) {
		switch pair := asMap(item); {
		case pair["name"] != nil:
			pairs = append(pairs, fmt.Sprintf("%v: %v", pair["name"], or(pair["value"], "VALUE")))
		case isText(item) && strings.Contains(item.(string), "="):
			name, value, _ := strings.Cut(item.(string), "=")
			pairs = append(pairs, name+": "+quotedIf(value))
		}
	}
	return shorten(strings.Join(pairs, ", "))
}

// secretFor is the name that the secret of a variable would have.
func secretFor(variable string) string {
	return strings.ReplaceAll(strings.ToLower(variable), "_", "-")
}

// quotedIf puts text in quotes where YAML would read it as something else.
func quotedIf(text string) string {
	if text == "" || strings.ContainsAny(text, "{}[]:#,\"'") {
		return quoted(text)
	}
	return text
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

var capitals = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

var address = regexp.MustCompile(`^(https?://|ssh://|git@)`)

// refCure proposes how a template is named.
func refCure(text string) string {
	const ways = "./PATH for a file, builtin/NAME, or git+https://HOST/REPOSITORY//PATH@REF"
	switch {
	case strings.HasPrefix(text, "/"):
		return "write a path from this file, beginning with ./ or ../"
	case strings.HasPrefix(text, "git@"), address.MatchString(text):
		return "write git+https://HOST/REPOSITORY//PATH@REF"
	case strings.Contains(text, "@"):
		return "actions and plugins of other tools cannot be used; write " + ways
	case strings.HasSuffix(text, ".yaml") || strings.HasSuffix(text, ".yml"):
		return fmt.Sprintf("write ./%s", text)
	case namePattern.MatchString(text):
		return fmt.Sprintf("write builtin/%s, or ./%s.template.yaml for a file", text, text)
	}
	return "write " + ways
}

// mendVersion makes "3.11" of "python3.11", ">=3.11" and the like.
func mendVersion(text string) string {
	m := regexp.MustCompile(`^[^0-9]*(3(?:\.[0-9]{1,2}){0,2})(?:\.[*x]|\+)?$`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%q", m[1])
}

// listCure is for text where a list is wanted.
func listCure(text string) string {
	if reference.MatchString(text) || almost.MatchString(text) {
		return "write " + quoted("${{ "+strings.Trim(text, "${}() ")+" }}")
	}
	return fmt.Sprintf("write [%s]", strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }), ", "))
}
