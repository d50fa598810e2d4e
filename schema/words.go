package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// place says in words which part of the file path names: `stage "train"`.
func (sh *shaper) place(path string) string {
	return placeWords(sh.kind, path)
}

func placeWords(kind, path string) string {
	switch path {
	case "":
		return "the " + kind
	case "/stage":
		return "the stage"
	}
	steps := strings.Split(path[1:], "/")
	for i := range steps {
		steps[i] = unescape(steps[i])
	}
	if len(steps) > 1 {
		if steps[0] == "stage" {
			return fmt.Sprintf("%q of the stage", strings.Join(steps[1:], "."))
		}
		singular := map[string]string{"stages": "stage", "finally": "stage", "params": "parameter", "targets": "target", "profiles": "profile", "outputs": "output", "secrets": "secret", "groups": "group", "cases": "case"}[steps[0]]
		if singular != "" {
			owner := fmt.Sprintf("%s %q", singular, steps[1])
			if len(steps) == 2 {
				return owner
			}
			return fmt.Sprintf("%q of %s", strings.Join(steps[2:], "."), owner)
		}
	}
	return fmt.Sprintf("%q", strings.Join(steps, "."))
}

// wrongType says what a value is and what it must be.
func (sh *shaper) wrongType(path string, rule map[string]any, given any) {
	wanted := typesOf(rule["type"])
	words := wantedWords(rule, wanted)
	if given == nil {
		cure := "write " + words
		if own := sh.placeCure(path, given); own != "" {
			cure = own
		}
		cure += ", or remove the key"
		if below := sh.dedented(path, rule); below != "" {
			cure = fmt.Sprintf("indent what belongs to it: %q stands beside it, not below", below)
		}
		sh.atKey("wrong-type", path, cure, "%s has no value", sh.place(path))
		return
	}
	if sh.nameless(path, given) {
		return
	}
	cure := sh.placeCure(path, given)
	if cure == "" {
		cure = typeCure(wanted, words, given)
	}
	sh.atValue("wrong-type", path, cure, "%s must be %s, not %s", sh.place(path), words, givenWords(given))
}

func typesOf(v any) []string {
	if text, ok := v.(string); ok {
		return []string{text}
	}
	var types []string
	for _, t := range asList(v) {
		types = append(types, fmt.Sprint(t))
	}
	return types
}

func wantedWords(rule map[string]any, types []string) string {
	if title, ok := rule["title"].(string); ok && !slices.Equal(types, []string{"object"}) {
		return title
	}
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = map[string]string{"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list", "object": "a map of keys and values"}[t]
	}
	return listed(words, "or")
}

func listed(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}

// givenWords says what is there.
func givenWords(v any) string {
	switch x := v.(type) {
	case string:
		return fmt.Sprintf("the text %q", shorten(x))
	case bool:
		return fmt.Sprintf("the truth value %t", x)
	case int, float64:
		return fmt.Sprintf("the number %v", x)
	case []any:
		return "a list"
	case map[string]any:
		return "a map of keys and values"
	}
	return "nothing"
}

func typeCure(wanted []string, words string, given any) string {
	scalar := false
	switch given.(type) {
	case string, bool, int, float64:
		scalar = true
	}
	switch {
	case slices.Contains(wanted, "array") && scalar:
		return fmt.Sprintf("write [%s]", compact(given))
	case slices.Contains(wanted, "integer") && isText(given):
		return "write a whole number, without quotes"
	case slices.Contains(wanted, "integer") && scalar:
		return "write " + words
	case slices.Contains(wanted, "object") && isList(given):
		return "write `key: value` lines without dashes, indented below the key"
	case slices.Contains(wanted, "string") && strings.Contains(words, "length of time") && scalar:
		return fmt.Sprintf("say the unit: %vs, %vm or %vh", given, given, given)
	case slices.Contains(wanted, "string") && scalar && strings.HasPrefix(words, "an expression"):
		return "write ${{ stages.NAME.outputs.NAME }}" // a number in quotes would be no better
	case slices.Contains(wanted, "string") && scalar:
		return "put it in quotes"
	case slices.Contains(wanted, "object"):
		return "write `key: value` lines, indented below the key"
	}
	return "write " + words
}

func isText(v any) bool { _, ok := v.(string); return ok }
func isList(v any) bool { _, ok := v.([]any); return ok }

// compact shows a value on one line.
func compact(v any) string {
	if text, ok := v.(string); ok {
		return shorten(text)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return shorten(string(text))
}

func shorten(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// wrongValue is for a value of the right type that is not among those allowed.
func (sh *shaper) wrongValue(path, keyword string, rule map[string]any, given any) {
	words := wantedWords(rule, typesOf(rule["type"]))
	shown := fmt.Sprintf("%q", compact(given))
	if !isText(given) {
		shown = compact(given)
	}
	switch keyword {
	case "enum":
		allowed := make([]string, 0)
		for _, v := range asList(rule["enum"]) {
			allowed = append(allowed, fmt.Sprint(v))
		}
		hint := "write " + listed(allowed, "or")
		if near := diag.Nearest(fmt.Sprint(given), allowed); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		if same := otherWords[strings.ToLower(fmt.Sprint(given))]; slices.Contains(allowed, same) {
			hint = "write " + same
		}
		if cure := sh.outputCure(path, given); cure != "" {
			hint = cure
		}
		if given == nil {
			shown = "empty"
		}
		sh.atValue("wrong-value", path, hint, "%s is %s, and must be one of %s", sh.place(path), shown, strings.Join(allowed, ", "))
	case "maxItems":
		sh.atKey("too-large", path, "write fewer", "%s has %d items, more than %v", sh.place(path), len(asList(given)), rule[keyword])
	case "maxProperties":
		keys := slices.DeleteFunc(sh.source.Keys(path), func(key string) bool {
			return asMap(rule["properties"]) != nil && asMap(rule["properties"])[key] == nil
		})
		if len(keys) < 2 {
			return // the others are unknown, and reported as such
		}
		if len(asMap(given)) > 2 && rule[keyword] != 1.0 {
			sh.atKey("too-large", path, "write fewer", "%s has %d keys, more than %v", sh.place(path), len(asMap(given)), rule[keyword])
			return
		}
		sh.atKey("two-kinds", join(path, keys[1]), fmt.Sprintf("keep one of %s", listed(quotedKeys(keys), "and")), "%s has both %q and %q", sh.place(path), keys[0], keys[1])
	case "const":
		if rule["const"] == true {
			sh.atValue("wrong-value", path, "write true, or remove the key", "%s is %s, and can only be true", sh.place(path), shown)
			return
		}
		sh.atValue("wrong-value", path, fmt.Sprintf("write %v", rule["const"]), "%s is %s, and this program reads %v", sh.place(path), shown, rule["const"])
	case "minimum", "maximum":
		if rule["title"] == nil {
			bound := map[string]string{"minimum": "at least", "maximum": "at most"}[keyword]
			words = fmt.Sprintf("%s %v", bound, rule[keyword])
			sh.atValue("wrong-value", path, "write "+words, "%s is %s, and must be %s", sh.place(path), shown, words)
			return
		}
		sh.atValue("wrong-value", path, valueCure(path, words, given), "%s is %s, and must be %s", sh.place(path), shown, words)
	case "minLength", "minItems", "minProperties":
		if cure := emptyCures[path[strings.LastIndexByte(path, '/')+1:]]; cure != "" {
			words = cure
		}
		if path != "/stages" {
			words += ", or remove the key"
		}
		sh.atValue("wrong-value", path, "write "+words, "%s is empty", sh.place(path))
	default:
		code := diag.Code("wrong-value")
		if strings.HasPrefix(words, "a name") {
			code = "bad-name"
		}
		cure := valueCure(path, words, given)
		if strings.HasSuffix(path, "/deploy/model") {
			cure = "write " + or(sh.artifactLike(compact(given)), "${{ stages.NAME.outputs.NAME }}").(string)
		}
		sh.atValue(code, path, cure, "%s is %s, and must be %s", sh.place(path), shown, words)
	}
}

// emptyCures are for maps that must hold something.
var emptyCures = map[string]string{
	"matrix":      "{ NAME: [VALUE, …] }",
	"environment": "{ python: { version: \"3.11\" } } or { image: NAME }",
	"stages":      "stages, each with a name: { NAME: { run: SCRIPT } }",
}

// valueCure proposes what was probably meant.
func valueCure(path, words string, given any) string {
	text, _ := given.(string)
	switch {
	case strings.HasPrefix(words, "a name") && mend(text, words) != "" && mend(text, words) != text:
		return "write " + mend(text, words)
	case strings.HasPrefix(words, "a length of time") && mendTime(text) != "":
		return "write " + mendTime(text)
	case strings.HasPrefix(words, "a size") && mendSize(text) != "":
		return "write " + mendSize(text)
	case strings.HasPrefix(words, "a number of cores") && milliCores.MatchString(text):
		n, _ := strconv.Atoi(strings.TrimSuffix(text, "m"))
		return "write " + plainNumber(float64(n)/1000)
	case strings.HasPrefix(words, "one of lost") && allDigits.MatchString(text):
		return fmt.Sprintf("write \"exit %s\"", text)
	case strings.HasPrefix(words, "a length of time"):
		return "write a number with ms, s, m, h or d behind it"
	case strings.HasPrefix(words, "a size"):
		return "write a number with Ki, Mi, Gi or Ti behind it"
	case strings.HasPrefix(words, "a path inside"):
		return "put the file into the pipeline's folder, and name it from there"
	case strings.HasPrefix(words, "an expression") && text != "" && strings.HasSuffix(path, "/until/when"):
		return "write " + quoted("${{ "+strings.Trim(text, "${} ")+" }}")
	case strings.HasPrefix(words, "an expression"):
		return "write ${{ stages.NAME.outputs.NAME }}"
	case strings.HasPrefix(words, "a template:"):
		return refCure(text)
	case strings.HasPrefix(words, "the path of a file") && strings.HasPrefix(text, "/"):
		return "write a path from this file, beginning with ./ or ../"
	case strings.HasPrefix(words, "the path of a file"):
		return "write the path out; to choose, write one stage for each with `if`"
	case strings.HasPrefix(words, "a version in quotes") && mendVersion(text) != "":
		return "write " + mendVersion(text)
	case strings.HasPrefix(words, "a version in quotes"):
		return "write \"3\" or a version of it, such as \"3.11\""
	case strings.HasPrefix(words, "a requirement such") && strings.HasPrefix(text, "-r"):
		return fmt.Sprintf("write `requirements: %s`", strings.TrimSpace(text[2:]))
	case strings.HasPrefix(words, "a list, or an expression") || strings.HasPrefix(words, "a list of values"):
		return listCure(text)
	case strings.HasPrefix(words, "one of lost") && diag.Nearest(text, causes) != "":
		return fmt.Sprintf("did you mean %q?", diag.Nearest(text, causes))
	}
	return "write " + words
}

// causes are those of failures that a retry rule can name.
var causes = []string{"lost", "preempted", "capacity", "oom", "timeout", "signal", "start", "exit"}

var (
	milliCores = regexp.MustCompile(`^[1-9][0-9]{0,5}m$`)
	allDigits  = regexp.MustCompile(`^[0-9]{1,3}$`)
	humps      = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// mend makes a name of text that is not one, if little is wrong with it.
func mend(text, words string) string {
	small, hyphen := strings.Contains(words, "small letters"), strings.Contains(words, "-")
	if small {
		text = humps.ReplaceAllString(text, "$1-$2")
	}
	mended := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '.' && small, r == '-' && hyphen:
			return r
		case r >= 'A' && r <= 'Z' && small:
			return r - 'A' + 'a'
		case r >= 'A' && r <= 'Z':
			return r
		case r == ' ' && small || r == '/' && small:
			return '-'
		case r < 0x80:
			return '_'
		}
		return -1
	}, text)
	if mended = strings.TrimLeft(mended, "._-"); !small {
		mended = strings.TrimLeft(mended, "0123456789")
	}
	if len(mended) > 63 {
		return ""
	}
	return mended
}

// nearest proposes known names, within a budget: a file full of mistakes must not
// take the square of its length to answer.
type nearest struct{ spent int }

const nearestBudget = 200_000

func (n *nearest) name(name string, known []string) string {
	if n.spent += len(known) * (len(name) + 1) / 8; n.spent > nearestBudget {
		return ""
	}
	return diag.Nearest(name, known)
}

// hint is "did you mean", or else what there is.
func (n *nearest) hint(name string, known []string, what string) string {
	if near := n.name(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "there are no " + what
	}
	const most = 12
	if len(known) > most {
		return fmt.Sprintf("the %s are: %s, …", what, strings.Join(known[:most], ", "))
	}
	return fmt.Sprintf("the %s are: %s", what, strings.Join(known, ", "))
}
