package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
)

// report puts an error of an expression or script into the words of the pipeline,
// at its place in the file.
func (c *checker) report(p place, e expr.Error) {
	if c.said(p, e) {
		return
	}
	if f, ok := c.p.Source.cutShort(p.path); ok && e.Code == expr.CodeSyntax {
		c.reports++
		c.find(f)
		return
	}
	c.reports++
	code, message, hint := diag.Code(e.Code), e.Message, e.Hint
	if e.Code == expr.CodeName {
		code, message, hint = c.unknown(p, e)
	}
	if cure := otherFunctions[strings.ToLower(e.Name)]; e.Code == expr.CodeFunction && cure != "" {
		hint = cure
	}
	if m := shellBraces.FindString(p.text[min(max(e.Offset-2, 0), len(p.text)):]); e.Code == expr.CodeShell && hint == "" && m != "" {
		hint = "write ${{ " + strings.Trim(m, "${}") + " }}"
	}
	if e.Code == expr.CodeFunction && hint == "" {
		hint = c.nearest.hint(e.Name, e.Known, "functions")
	}
	if cure := c.ofMany(p, e); e.Code == expr.CodeType && cure != "" {
		hint = cure
	}
	if hint == "" {
		hint = wantCure(p, e)
	}
	if hint == "" && e.Code == expr.CodeShell {
		hint = shellCure(message)
	}
	if hint == "" {
		hint = "see `amlflow explain " + string(code) + "`"
	}
	if (strings.HasPrefix(hint, "write ") || strings.Contains(hint, `["`)) && c.p.Source.doubleQuoted(p.path) {
		hint = strings.ReplaceAll(hint, `"`, "'") // the other quotes would end the value
	}
	c.within(code, p.path, e.Offset, e.End, hint, message)
}

// wantCure is the cure for a type that is another than the wanted one, when nothing
// better is known.
func wantCure(p place, e expr.Error) string {
	switch {
	case e.Code != expr.CodeType:
	case p.want.Kind == expr.Artifact:
		return "name an output of type file, folder or model"
	case isArtifact(p.want):
		return fmt.Sprintf("name %s: an output of that type, or a parameter", p.want)
	case p.want.Kind == expr.List:
		return "give a list: a parameter or an output of type list, or 1..n"
	case strings.Contains(e.Message, "is a number") && strings.HasSuffix(e.Message, "is text"):
		return "write float(…) if the text is a number"
	}
	return ""
}

var (
	shellEnd     = regexp.MustCompile(`must (be followed by|end with) "?(\w+)"?`)
	shellBracket = regexp.MustCompile(`without matching (\S+) with (\S+)`)
	shellHere    = regexp.MustCompile(`unclosed here-document '(.*)'`)
)

// shellCure says what to write where the shell misses something.
func shellCure(message string) string {
	if m := shellEnd.FindStringSubmatch(message); m != nil && m[1] == "end with" {
		return fmt.Sprintf("write `%s` where it ends", m[2])
	} else if m != nil {
		return fmt.Sprintf("write `%s` after it, behind ; or on a line of its own", m[2])
	}
	if m := shellBracket.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("write %s where what this opens ends", m[2])
	}
	if m := shellHere.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("write %s alone on a line, without blanks, where the text ends", m[1])
	}
	if strings.Contains(message, "that starts here is not closed") {
		return "close it, or write a backslash before a quote that is meant as such"
	}
	return ""
}

var result = regexp.MustCompile(`\bstages\.([a-z0-9_]+)\.(metrics|outputs)\.\w+`)

// ofMany is the cure for a type that is wrong because the stage runs many times, so
// that its results are lists.
func (c *checker) ofMany(p place, e expr.Error) string {
	for _, m := range result.FindAllStringSubmatchIndex(p.text[e.Offset:min(max(e.End, e.Offset), len(p.text))], 10) {
		whole, name := p.text[e.Offset+m[0]:e.Offset+m[1]], p.text[e.Offset+m[2]:e.Offset+m[3]]
		i := slices.IndexFunc(c.all, func(s *Stage) bool { return s.Name == name && (s.Matrix != nil || s.Each != nil) })
		if i < 0 {
			continue
		}
		key := "matrix"
		if c.all[i].Each != nil {
			key = "each"
		}
		ways := fmt.Sprintf("min(%s) or max(%s)", whole, whole)
		if p.text[e.Offset+m[4]:e.Offset+m[5]] == "outputs" {
			ways = fmt.Sprintf("%s[0] for the first", whole)
		}
		return fmt.Sprintf("stage %q runs many times (`%s`), so this is a list: write %s", name, key, ways)
	}
	return ""
}

// said reports whether a name is missing only because the key that brings it was
// written as other tools have it, which is a finding already.
func (c *checker) said(p place, e expr.Error) bool {
	if e.Code != expr.CodeName || len(e.Parent) > 0 || p.stage == nil || e.Name != "matrix" && e.Name != "each" && e.Name != "trial" {
		return false
	}
	return slices.ContainsFunc(c.p.Source.Keys(p.stage.Path), func(key string) bool {
		return key == e.Name || strings.Contains(habit("stage", key), "`"+e.Name+":")
	})
}

// only are names that exist in some stages, and the cure where they do not.
var only = map[string]struct{ where, cure string }{
	"matrix":   {"a stage with `matrix`", "add `matrix: { NAME: [VALUE, …] }` to the stage, or use params"},
	"each":     {"a stage with `each`", "add `each: [VALUE, …]` to the stage, or use params"},
	"outputs":  {"`until.when`", "results of a stage are read as stages.NAME.outputs.NAME"},
	"metrics":  {"`until.when`", "results of a stage are read as stages.NAME.metrics.NAME"},
	"endpoint": {"`check` of `canary` and `mirror`, and in `rollback.when`", "the address of an endpoint is stages.NAME.outputs.url"},
	"attempt":  {"`until.when`", "a script counts its attempts itself; `until` is for repeating a stage"},
	"trial":    {"a stage with `sweep`", "add `sweep: { space: { NAME: { uniform: [0, 1] } }, … }` to the stage, or use params"},
}

// hyphened is the hint of a name that cannot stand behind a dot.
var hyphened = regexp.MustCompile(`^did you mean "([^"]*[.-][^"]*)"`)

// unknown says which name of the pipeline there is not.
func (c *checker) unknown(p place, e expr.Error) (code diag.Code, message, hint string) {
	hint = e.Hint
	if cure := c.meant(p, e); cure != "" {
		hint = cure
	}
	what := func(code diag.Code, format string, args ...any) (diag.Code, string, string) {
		if hint == "" {
			hint = c.nearest.hint(e.Name, e.Known, strings.TrimPrefix(string(code), "unknown-")+"s")
		}
		if near := hyphened.FindStringSubmatch(hint); near != nil && len(e.Parent) > 0 {
			parent := strings.Join(e.Parent, ".")
			hint = fmt.Sprintf("write %s[%q] instead of %s.%s", parent, near[1], parent, e.Name)
		}
		return code, fmt.Sprintf(format, args...), hint
	}
	switch path := e.Parent; {
	case len(path) == 0:
		return c.unknownTop(p, e, hint)
	case path[0] == "endpoint" && (e.Name == "agreement" || e.Name == "compared"):
		return "unknown-name", fmt.Sprintf("%q is measured by a mirror only", e.Name), "write it in `mirror: { check: … }`, or ask about error_rate, p95_ms or reported.NAME"
	case path[0] == "endpoint":
		return what("unknown-name", "nothing named %q is measured of an endpoint", e.Name)
	case len(path) == 1 && path[0] == "matrix":
		return what("unknown-name", "the matrix has no %q", e.Name)
	case len(path) == 1 && path[0] == "trial":
		return what("unknown-name", "the space of the sweep has no %q", e.Name)
	case len(path) == 3 && path[0] == "stages" && path[2] == "trial":
		return what("unknown-name", "the space of the sweep of %q has no %q", path[1], e.Name)
	case len(path) >= 2 && path[0] == "each":
		return what("unknown-name", "the items of `each` have no %q", e.Name)
	case len(path) == 1 && path[0] == "outputs":
		return what("unknown-output", "the stage declares no output %q", e.Name)
	case len(path) == 1 && path[0] == "metrics":
		return what("unknown-metric", "the stage declares no metric %q", e.Name)
	case len(path) == 1 && path[0] == "params":
		return what("unknown-param", "no parameter named %q", e.Name)
	case len(path) == 1 && path[0] == "stages" && slices.ContainsFunc(c.p.Finally, func(s Stage) bool { return s.Name == e.Name }):
		return "finally-reference", fmt.Sprintf("stage %q is in `finally` and runs after all others, so they cannot read it", e.Name), "move one of the two stages"
	case len(path) == 1 && path[0] == "stages":
		return what("unknown-stage", "no stage named %q", e.Name)
	case len(path) == 3 && path[0] == "stages" && path[2] == "outputs":
		if cure := c.nestedCure(path[1], e.Name); hint == "" && cure != "" {
			hint = cure
		}
		return what("unknown-output", "%s %q", c.declares(path[1], "output"), e.Name)
	case len(path) == 3 && path[0] == "stages" && path[2] == "metrics":
		return what("unknown-metric", "%s %q", c.declares(path[1], "metric"), e.Name)
	case len(path) == 2 && path[0] == "stages":
		return what("unknown-name", "a stage has no %q", e.Name)
	}
	return what("unknown-name", "%s", e.Message)
}

// unknownTop is for names with nothing before them.
func (c *checker) unknownTop(p place, e expr.Error, hint string) (diag.Code, string, string) {
	if c.p.alone && e.Name == "stages" {
		return "unknown-name", "a template sees its parameters, and nothing of the pipeline that uses it", "make it a parameter, and give it in `with`"
	}
	if o, ok := only[e.Name]; ok {
		return "unknown-name", fmt.Sprintf("%q is known only in %s", e.Name, o.where), o.cure
	}
	if hint == "" {
		hint = c.nearest.hint(e.Name, e.Known, "names")
	}
	return "unknown-name", e.Message, hint
}

// declares begins the sentence about a result that a stage does not have, in the
// words of where its results are declared.
func (c *checker) declares(stage, what string) string {
	i := slices.IndexFunc(c.all, func(s *Stage) bool { return s.Name == stage })
	switch {
	case i >= 0 && c.all[i].Template != nil:
		return fmt.Sprintf("template %q of stage %q declares no %s", c.all[i].Template.Name, stage, what)
	case i >= 0 && c.all[i].Nested != nil:
		return fmt.Sprintf("pipeline %q of stage %q has no %s", c.all[i].Nested.Name, stage, what)
	}
	return fmt.Sprintf("stage %q declares no %s", stage, what)
}

// otherFunctions are functions of other tools, in small letters, and what is written here.
var otherFunctions = map[string]string{
	"success":    "leave it out: a stage runs when what it needs has succeeded",
	"succeeded":  `leave it out, or ask stages.NAME.status == "succeeded"`,
	"failure":    "write failed()",
	"cancelled":  `ask stages.NAME.status == "cancelled"`,
	"contains":   `write text contains "part"`,
	"startswith": `write text startsWith "part"`,
	"endswith":   `write text endsWith "part"`,
	"format":     "write the text with ${{ }} in it",
	"length":     "write len(…)",
	"size":       "write len(…)",
	"str":        "write string(…)",
	"number":     "write float(…)",
	"double":     "write float(…)",
	"range":      "write 0..n",
	"avg":        "write mean(…)",
	"hashfiles":  "leave it out: `cache: true` looks at the files themselves",
}

// otherNames are names of other tools, and what is written here.
var otherNames = map[string]string{
	"needs":      "results are read as stages.NAME.outputs.NAME",
	"steps":      "results are read as stages.NAME.outputs.NAME",
	"jobs":       "results are read as stages.NAME.outputs.NAME",
	"tasks":      "results are read as stages.NAME.outputs.NAME",
	"inputs":     "a script has its inputs in $AMLFLOW_INPUT_NAME; elsewhere read params.NAME or stages.NAME.outputs.NAME",
	"github":     "there is run.id and run.pipeline",
	"workflow":   "there is run.id, run.pipeline and params.NAME",
	"vars":       "values given to a run are read as params.NAME",
	"variables":  "values given to a run are read as params.NAME",
	"parameters": "write params.NAME",
	"result":     "write stages.NAME.status",
	"item":       "write each.item",
	"items":      "write each.item",
	"index":      "write each.index",
	"strategy":   "write matrix.NAME",
	"with":       "write params.NAME",
	"None":       "write nil",
	"null":       "write nil",
	"NULL":       "write nil",
	"True":       "write true",
	"TRUE":       "write true",
	"False":      "write false",
	"FALSE":      "write false",
}

var (
	otherResult = regexp.MustCompile(`^(?:needs|steps|jobs|tasks)\.([\w-]+)\.outputs\.(?:parameters\.|artifacts\.)?([\w-]+)`)
	otherParam  = regexp.MustCompile(`^(?:inputs|vars|variables|parameters|with|workflow|dag_run)\.(?:parameters\.|conf\.)?([\w-]+)`)
	firstName   = regexp.MustCompile(`^[\w-]+\.([\w-]+)`)
)

// meant guesses which value an unknown name stands for: the beginning of the path
// may be missing, its middle, or it is the name of another tool.
func (c *checker) meant(p place, e expr.Error) string {
	called := func(s *Stage) bool { return s.Name == e.Name }
	switch path := e.Parent; {
	case len(path) == 0 && slices.ContainsFunc(c.p.Params, func(p Param) bool { return p.Name == e.Name }):
		return "write params." + e.Name
	case len(path) == 0 && !c.p.alone && slices.ContainsFunc(c.all, called):
		return "write stages." + e.Name
	case len(path) == 0:
		return c.otherTool(p, e)
	case len(path) == 2 && path[0] == "stages":
		return c.meantOf(path[1], e.Name)
	case len(path) == 3 && path[0] == "stages" && (path[2] == "outputs" || path[2] == "metrics"):
		if cure := c.meantOf(path[1], e.Name); !strings.HasSuffix(cure, ".status") && !strings.Contains(cure, "==") {
			return cure
		}
	}
	return ""
}

// otherTool is the cure for a name that other tools have.
func (c *checker) otherTool(p place, e expr.Error) string {
	rest := p.text[min(e.Offset, len(p.text)):]
	if m := otherResult.FindStringSubmatch(rest); m != nil && slices.ContainsFunc(c.all, func(s *Stage) bool { return s.Name == m[1] }) {
		return fmt.Sprintf("write stages.%s.outputs.%s", m[1], m[2])
	}
	if m := otherParam.FindStringSubmatch(rest); m != nil && slices.ContainsFunc(c.p.Params, func(p Param) bool { return p.Name == m[1] }) {
		return "write params." + m[1]
	}
	m := firstName.FindStringSubmatch(rest)
	switch {
	case e.Name == "secrets" && m != nil:
		return c.secretCure(p, m[1])
	case e.Name == "env" && m != nil:
		return fmt.Sprintf("a script reads its variables itself: write $%s", m[1])
	case e.Name == "secrets":
		return c.secretCure(p, "NAME")
	case e.Name == "env":
		return "a script reads its variables itself: write $NAME"
	}
	return otherNames[e.Name]
}

// secretCure says how a stage gets a secret: never as a value of an expression.
func (c *checker) secretCure(p place, name string) string {
	variable := variableName(name)
	if i := strings.LastIndex(p.path, "/env/"); i >= 0 {
		variable = unescape(p.path[i+len("/env/"):])
		return fmt.Sprintf("write `secrets: { %s: %s }` in the stage instead of `env`", variable, c.secretLike(name))
	}
	return fmt.Sprintf("a secret is no value of an expression: write `secrets: { %s: %s }` in the stage, and $%s in the script", variable, c.secretLike(name), variable)
}

// meantOf guesses which result of a stage is meant by a name directly behind it.
func (c *checker) meantOf(stage, name string) string {
	if slices.Contains([]string{"result", "outcome", "conclusion", "state", "phase"}, name) {
		return fmt.Sprintf("write stages.%s.status", stage)
	}
	if slices.Contains([]string{"approved", "success", "succeeded", "ok"}, name) {
		return fmt.Sprintf("write stages.%s.status == \"succeeded\"", stage)
	}
	if state := otherWords[name]; state == "failed" || statusWord(name) {
		return fmt.Sprintf("write stages.%s.status == %q", stage, or(state, name))
	}
	i := slices.IndexFunc(c.all, func(s *Stage) bool { return s.Name == stage })
	if i < 0 {
		return ""
	}
	t := c.p.results(c.all[i], false)
	for _, kind := range []string{"outputs", "metrics"} {
		if _, ok := t.Fields[kind].Fields[name]; ok {
			return fmt.Sprintf("write stages.%s.%s.%s", stage, kind, name)
		}
	}
	return ""
}
