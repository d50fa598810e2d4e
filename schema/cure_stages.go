package schema

import (
	"fmt"
	"strings"
)

// nameless reports keys of a stage that stand where its name should: the first of
// them, for all.
func (sh *shaper) nameless(path string, given any) bool {
	in, ok := stageKey(path)
	name := path[strings.LastIndexByte(path, '/')+1:]
	keys := asMap(sh.form.at("/$defs/stage")["properties"])
	if !ok || in != "" || keys[name] == nil || isList(given) || strings.HasPrefix(path, "/stage/") {
		return false
	}
	above := path[:strings.LastIndexByte(path, '/')]
	beside := sh.source.Keys(above)
	for _, other := range beside {
		if v, _ := sh.source.Value(join(above, other)); keys[other] == nil || v == nil || asMap(v) != nil {
			return false
		}
	}
	if beside[0] == name {
		sh.atKey("wrong-type", path, fmt.Sprintf("write NAME: above it, and indent what is below %q once more", above[1:]), "%q stands directly below %q, where the names of stages are", name, above[1:])
	}
	return true
}

// outputCure is for an output that says where a file is instead of what it is.
func (sh *shaper) outputCure(path string, given any) string {
	key, _ := stageKey(path)
	name, ok := strings.CutPrefix(key, "outputs/")
	text, _ := given.(string)
	if !ok || !strings.ContainsAny(text, "/.$") {
		return ""
	}
	return fmt.Sprintf("write file, or folder, and have the script leave it at \"$AMLFLOW_OUTPUT_%s\"", variableName(unescape(name)))
}

// maxAsked is how many stages are asked for a result that a cure may name: a file of
// mistakes must not take the square of its length to answer.
const maxAsked = 200

// artifactLike is the expression for an output that is called text, or the only one
// of a stage that is; "" when there is none.
func (sh *shaper) artifactLike(text string) string {
	stages := sh.source.Keys("/stages")
	for _, stage := range stages[:min(len(stages), maxAsked)] {
		outputs := sh.source.Keys(join("/stages", stage, "outputs"))
		for _, output := range outputs {
			if output == text || stage == text && len(outputs) == 1 {
				return fmt.Sprintf("${{ stages.%s.outputs.%s }}", stage, output)
			}
		}
	}
	return ""
}
