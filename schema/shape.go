package schema

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/amlflow/amlflow/schema/diag"
)

// shaper turns the places where a schema and a file disagree into findings. It
// takes from the validator only where that is, and says it in its own words.
type shaper struct {
	form     form
	kind     string
	base     string // where in the file the part lies that the schema is about
	source   *Source
	nearest  nearest
	findings diag.Findings
	said     map[said]string // and the path that it was said of
	strayed  map[string]bool // paths of keys that were meant to stand below an empty one
}

// said is a finding without the names in it.
type said struct {
	at     diag.Pos
	code   diag.Code
	format string
}

// checkShape compares a file with the schema of its kind.
func (s *Source) checkShape(kind string, f form) diag.Findings {
	if s.root == nil || s.Tree == refused {
		return nil
	}
	sh := &shaper{form: f, kind: kind, source: s}
	if other := sh.otherFile(); other != nil {
		return other
	}
	if other := sh.foreign(); other != nil {
		return other
	}
	var bad *jsonschema.ValidationError
	if rest := f.unfit(s); rest != nil && errors.As(f.check().Validate(rest), &bad) {
		sh.leaves(bad)
	}
	return enough(slices.DeleteFunc(sh.findings, sh.astray))
}

// otherFile recognises a file of another kind, about which nothing else is worth saying.
func (sh *shaper) otherFile() diag.Findings {
	m, ok := sh.source.Tree.(map[string]any)
	if !ok || m[sh.kind] != nil && (sh.kind != "pipeline" || !isTest(m)) {
		return nil
	}
	for _, kind := range Kinds() {
		path := "/" + kind
		if _, isText := m[kind].(string); kind == sh.kind || !isText {
			continue
		}
		f := sh.source.finding(sh.source.KeyAt(path), "other-file", fmt.Sprintf("this is a %s file, and a %s file is wanted", kind, sh.kind),
			fmt.Sprintf("begin a %s file with \"%s: NAME\", or give another file", sh.kind, sh.kind))
		f.Path, f.Width = path, len(kind)
		return diag.Findings{f}
	}
	return nil
}

// leaves reports what e is made of, in the order of the file: the validator has
// none, and of several aliases the first is to be named.
func (sh *shaper) leaves(e *jsonschema.ValidationError) {
	var leaves []leaf
	var gather func(e *jsonschema.ValidationError)
	gather = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			gather(cause)
		}
		if len(e.Causes) == 0 {
			path := sh.base + unescapeURL(e.InstanceLocation)
			leaves = append(leaves, leaf{e, path, sh.source.KeyAt(owner(path))})
		}
	}
	gather(e)
	slices.SortFunc(leaves, func(a, b leaf) int {
		return cmp.Or(cmp.Compare(a.owner.Line, b.owner.Line), cmp.Compare(a.owner.Col, b.owner.Col), cmp.Compare(a.path, b.path), cmp.Compare(a.error.KeywordLocation, b.error.KeywordLocation))
	})
	for _, l := range leaves {
		sh.leaf(l.error, l.path)
	}
}

// leaf is one disagreement, and where the stage or parameter is written that has it.
type leaf struct {
	error *jsonschema.ValidationError
	path  string
	owner diag.Pos
}

// owner is the part of path that names a stage, parameter or target.
func owner(path string) string {
	if steps := strings.SplitN(path, "/", 4); len(steps) == 4 {
		return strings.Join(steps[:3], "/")
	}
	return path
}

func (sh *shaper) leaf(e *jsonschema.ValidationError, path string) {
	location := e.AbsoluteKeywordLocation[strings.IndexByte(e.AbsoluteKeywordLocation, '#')+1:]
	if strings.Contains(e.KeywordLocation, "/propertyNames") {
		sh.badName(path, location)
		return
	}
	given, ok := sh.source.Value(path)
	if !ok || given == refused {
		return
	}
	i := strings.LastIndexByte(location, '/')
	keyword := location[i+1:]
	if strings.HasPrefix(location, "/$defs/stage/allOf/") {
		if strings.Contains(location, "/then/properties/") {
			path = path[:strings.LastIndexByte(path, '/')]
		}
		sh.stageKind(path)
		return
	}
	if strings.HasPrefix(location, "/$defs/deploy/then/") || strings.HasPrefix(location, "/$defs/deploy/else/") {
		sh.deployKind(path)
		return
	}
	sh.keyword(path, location[:i], keyword, given)
}

func (sh *shaper) keyword(path, location, keyword string, given any) {
	if f, ok := sh.source.cutShort(path); ok {
		sh.findings = append(sh.findings, f)
		return
	}
	rule := sh.form.at(location)
	switch keyword {
	case "additionalProperties":
		sh.extraKeys(path, location, rule, given)
	case "required":
		sh.missingKeys(path, sh.part(location), rule, given)
	case "dependentRequired":
		sh.missingPartner(path, rule, given)
	case "type":
		sh.wrongType(path, rule, given)
	default:
		if !strings.HasPrefix(location, "/dependentRequired") && strings.Contains(location, "/dependentRequired/") {
			sh.missingPartner(path, sh.form.at(location[:strings.Index(location, "/dependentRequired/")]), given)
			return
		}
		sh.wrongValue(path, keyword, rule, given)
	}
}

func (sh *shaper) find(code diag.Code, at diag.Pos, path string, width int, hint, format string, args ...any) {
	same := said{at, code, format}
	if first, again := sh.said[same]; again && first != path {
		return // an alias brings the same mistake to another path
	}
	if sh.said == nil {
		sh.said = map[said]string{}
	}
	sh.said[same] = path
	f := sh.source.finding(at, code, fmt.Sprintf(format, args...), hint)
	f.Path, f.Width = path, width
	sh.findings = append(sh.findings, f)
}

// atValue reports the value at path.
func (sh *shaper) atValue(code diag.Code, path, hint, format string, args ...any) {
	sh.find(code, sh.source.At(path), path, sh.source.Width(path), hint, format, args...)
}

// atKey reports the key that path ends with.
func (sh *shaper) atKey(code diag.Code, path, hint, format string, args ...any) {
	sh.find(code, sh.source.KeyAt(path), path, sh.source.KeyWidth(path), hint, format, args...)
}

// part names the definition that a place of the schema belongs to.
func (sh *shaper) part(location string) string {
	if rest, ok := strings.CutPrefix(location, "/$defs/"); ok {
		part, below, _ := strings.Cut(rest, "/")
		if i := strings.LastIndex(below, "properties/"); i >= 0 {
			return below[i+len("properties/"):]
		}
		return part
	}
	if location == "" {
		return sh.kind
	}
	return location
}

func (sh *shaper) extraKeys(path, location string, rule map[string]any, given any) {
	known := keysOf(rule["properties"])
	if sh.base != "" && path == sh.base {
		known = append(known, "kind") // the workspace's own key among a target's settings
	}
	whole := "write `" + path[strings.LastIndexByte(path, '/')+1:] + ":" // what is above the keys is to be written anew
	again := map[string]bool{}
	for _, key := range sh.unknownKeys(path, known, given) {
		at := join(path, key)
		if l, ok := comingKey(sh.part(location), key); ok {
			sh.findings = append(sh.findings, sh.source.coming(sh.source.KeyAt(at), at, sh.source.KeyWidth(at), l.named(key), l.cure))
			continue
		}
		hint := sh.nearest.hint(key, known, "keys")
		if cure := sh.besideUses(path, key, given); cure != "" {
			hint = cure
		} else if asMap(given)[key] == "manual" {
			hint = "write `approve: { by: [NAME] }`, in a stage of its own"
		} else if cure := habit(sh.part(location), key); cure != "" {
			hint = filled(cure, key, asMap(given)[key])
		} else if cure := habit("stage", key); cure != "" && slices.Contains([]string{"resources", "retry", "deploy", "until", "approve", "batch"}, sh.part(location)) && !strings.HasPrefix(hint, "did you mean") {
			hint = cure + ", in the stage"
		} else if where := sh.elsewhere(sh.part(location), key); where != "" && !strings.HasPrefix(hint, "did you mean") {
			hint = where
		}
		if strings.HasPrefix(hint, whole) && again[hint] {
			continue // said of a key before this one
		}
		again[hint] = true
		sh.atKey("unknown-key", at, hint, "unknown key %q in %s", key, sh.place(path))
	}
}

// unknownKeys are the keys of a map that are not known, as the file has them in order.
func (sh *shaper) unknownKeys(path string, known []string, given any) []string {
	keys := slices.DeleteFunc(keysOf(given), func(key string) bool { return slices.Contains(known, key) })
	slices.SortStableFunc(keys, func(a, b string) int {
		at, bt := sh.source.KeyAt(join(path, a)), sh.source.KeyAt(join(path, b))
		return cmp.Or(cmp.Compare(at.Line, bt.Line), cmp.Compare(at.Col, bt.Col))
	})
	return keys
}

// besideUses is the cure for what is given to a template or pipeline under another name.
func (sh *shaper) besideUses(path, key string, given any) string {
	if in, ok := stageKey(path); !ok || in != "" || asMap(given)["uses"] == nil && asMap(given)["pipeline"] == nil {
		return ""
	}
	switch joints.Replace(strings.ToLower(key)) {
	case "inputs", "params", "parameters", "args", "arguments", "vars", "variables", "values":
		return "write `with:`"
	}
	return ""
}

// elsewhere says where a key belongs that stands in the wrong part of the file.
func (sh *shaper) elsewhere(part, key string) string {
	if part == "pipeline" && asMap(sh.form.at("/$defs/defaults")["properties"])[key] != nil {
		return fmt.Sprintf("write `defaults: { %s: … }` for all stages, or say it in one stage", key)
	}
	for _, other := range []string{"stage", "resources", "deploy", "retry", "until", "approve", "python", "batch"} {
		definition := sh.form.at("/$defs/" + other)
		if other == "python" {
			definition = sh.form.at("/$defs/environment/properties/python")
		}
		if other == part || asMap(definition["properties"])[key] == nil || part == sh.kind && other != "stage" {
			continue
		}
		switch {
		case other == "stage" && sh.kind == "template" && part == sh.kind:
			return fmt.Sprintf("%q belongs under `stage:`", key)
		case other == "stage":
			return fmt.Sprintf("%q belongs directly into the stage", key)
		case other == "python":
			return fmt.Sprintf("%q belongs under `environment: { python: … }`", key)
		}
		return fmt.Sprintf("%q belongs under `%s:`", key, other)
	}
	return ""
}

func (sh *shaper) missingKeys(path, part string, rule map[string]any, given any) {
	known := keysOf(rule["properties"])
	unknown := slices.DeleteFunc(keysOf(given), func(key string) bool { return slices.Contains(known, key) })
	for _, key := range asList(rule["required"]) {
		name := fmt.Sprint(key)
		if _, ok := asMap(given)[name]; ok {
			continue
		}
		if near := sh.nearest.name(name, unknown); near != "" && sh.nearest.name(near, known) == name {
			continue // the unknown key is reported, with this one as its cure
		}
		if slices.ContainsFunc(unknown, func(key string) bool { return strings.Contains(habit(part, key), "`"+name+":") }) {
			continue // so it is with the cure of another tool's key
		}
		sh.atKey("missing-key", path, "add "+sh.sample(path, name), "%s has no %q", sh.place(path), name)
	}
}

// sample shows how a required key may be written.
func (sh *shaper) sample(path, key string) string {
	if text := testSamples[key]; sh.kind == "test" && text != "" {
		return fmt.Sprintf("`%s`", text)
	}
	if key == "kind" && strings.HasSuffix(path, "/launch") {
		return "`kind: torchrun`, or env, tf or mpi"
	}
	if key == "when" && strings.HasSuffix(path, "/rollback") {
		return "`when: \"${{ endpoint.error_rate > 0.05 }}\"`"
	}
	examples := map[string]string{"hold": "hold: 30s", "weight": "weight: 10", "max": "max: 4", "amlflow": "amlflow: v1", "pipeline": "pipeline: my-pipeline", "workspace": "workspace: my-team", "stages": "stages: { NAME: { run: SCRIPT } }",
		"type": "type: string, or integer, number, boolean, list", "endpoint": "endpoint: NAME", "kind": "kind: local",
		"template": "template: my-template", "stage": "stage: { run: SCRIPT }", "when": "when: \"${{ outputs.NAME }}\"", "attempts": "attempts: 20", "group": "group: NAME", "any_of": "any_of: [NAME, …]"}
	if text := examples[key]; text != "" {
		return fmt.Sprintf("`%s`", text)
	}
	return fmt.Sprintf("`%s: …`", key)
}

func (sh *shaper) missingPartner(path string, rule map[string]any, given any) {
	for has, needs := range asMap(rule["dependentRequired"]) {
		if _, ok := asMap(given)[has]; !ok {
			continue
		}
		for _, key := range asList(needs) {
			if _, ok := asMap(given)[fmt.Sprint(key)]; !ok {
				sh.atKey("missing-key", join(path, has), fmt.Sprintf("add `%s: …`", key), "%s has %q and no %q", sh.place(path), has, key)
			}
		}
	}
}

func (sh *shaper) badName(path, location string) {
	name := unescape(path[strings.LastIndexByte(path, '/')+1:])
	rule := sh.form.at(location[:strings.LastIndexByte(location, '/')])
	if allowed := asList(rule["enum"]); rule["title"] == nil && len(allowed) > 0 {
		var known []string
		for _, one := range allowed {
			known = append(known, fmt.Sprint(one))
		}
		near := diag.Nearest(name, known)
		if len(known) > 8 {
			known = append(known[:8:8], "…")
		}
		hint := "write one of " + strings.Join(known, ", ")
		if near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		sh.atKey("unknown-key", path, hint, "%s has no %q", sh.place(path[:strings.LastIndexByte(path, '/')]), shorten(name))
		return
	}
	hint := "rename it"
	if better := mend(name, fmt.Sprint(rule["title"])); better != name && better != "" {
		hint = fmt.Sprintf("write %s", better)
	}
	sh.atKey("bad-name", path, hint, "%q is not %s", shorten(name), rule["title"])
}

// stageKinds are the keys that say what a stage does.
var stageKinds = []string{"run", "command", "batch", "deploy", "approve", "pipeline", "uses"}

func quotedKeys(keys []string) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = "`" + key + "`"
	}
	return all
}

// stageKind reports a stage that does two things, or none.
func (sh *shaper) stageKind(path string) {
	kinds, coming := []string{}, false
	for _, key := range sh.source.Keys(path) {
		if slices.Contains(stageKinds, key) {
			kinds = append(kinds, key)
		}
		coming = coming || works(key)
		coming = coming || diag.Nearest(key, stageKinds) != "" && sh.form.at("/$defs/stage/properties/"+key) == nil
	}
	switch {
	case len(kinds) > 1:
		sh.atKey("two-kinds", join(path, kinds[1]), "keep one, or make two stages of it", "%s has both %q and %q; a stage does one thing", sh.place(path), kinds[0], kinds[1])
	case len(kinds) == 0 && !coming:
		sh.atKey("no-kind", path, "add `run: SCRIPT`, or one of "+listed(quotedKeys(stageKinds[1:]), "and"), "%s does not say what it does", sh.place(path))
	}
}

func (sh *shaper) deployKind(path string) {
	path = strings.TrimSuffix(path, "/run")
	keys := sh.source.Keys(path)
	score, run := slices.Index(keys, "score"), slices.Index(keys, "run")
	switch {
	case score >= 0 && run >= 0:
		sh.atKey("two-kinds", join(path, keys[max(score, run)]), "keep `score` for a Python file, or `run` for a server of your own", "%s has both \"score\" and \"run\"", sh.place(path))
	case score < 0 && run < 0:
		sh.atKey("no-kind", path, "add `score: FILE.py`, or `run: SCRIPT` that serves on $PORT", "%s does not say what serves", sh.place(path))
	}
}

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }
func asList(v any) []any         { l, _ := v.([]any); return l }

func keysOf(v any) []string {
	m := asMap(v)
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func unescapeURL(pointer string) string {
	if text, err := url.PathUnescape(pointer); err == nil {
		return text
	}
	return pointer
}
