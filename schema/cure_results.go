package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// nestedCure is for a result that a pipeline does not give back, though one of its
// stages has it.
func (c *checker) nestedCure(stage, name string) string {
	i := slices.IndexFunc(c.all, func(s *Stage) bool { return s.Name == stage })
	if i < 0 || c.all[i].Nested == nil {
		return ""
	}
	nested := c.all[i].Nested
	for _, s := range nested.Stages {
		for kind, results := range map[string][]Declared{"outputs": s.Outputs, "metrics": s.Metrics} {
			if slices.ContainsFunc(results, func(d Declared) bool { return d.Name == name }) {
				return fmt.Sprintf("add `outputs: { %s: \"${{ stages.%s.%s.%s }}\" }` to %s", name, s.Name, kind, name, c.all[i].Pipeline)
			}
		}
	}
	return ""
}

// wholeCure is for an input that is all results of a stage instead of one of them;
// "" when it is not that.
func (c *checker) wholeCure(p place, x *expr.Compiled) string {
	if p.stage == nil || !strings.HasPrefix(p.path, p.stage.Path+"/inputs/") || len(x.Refs) != 1 {
		return ""
	}
	path := x.Refs[0].Path
	if path[0] != "stages" || len(path) < 2 || len(path) > 3 || strings.TrimSpace(x.Source) != strings.Join(path, ".") || len(path) == 3 && path[2] != "outputs" && path[2] != "metrics" {
		return ""
	}
	kind, name := "outputs", "NAME"
	if len(path) == 3 {
		kind = path[2]
	}
	for _, s := range c.all {
		results := s.Outputs
		if kind == "metrics" {
			results = s.Metrics
		}
		if s.Name == path[1] && len(results) == 1 {
			name = results[0].Name
		}
	}
	return fmt.Sprintf("write stages.%s.%s.%s", path[1], kind, name)
}

// states are what the status of a stage may be.
var states = []string{"succeeded", "failed", "cancelled", "skipped", "lost", "running", "waiting"}

func statusWord(word string) bool { return slices.Contains(states, word) }

// asksStatus compares the status of a stage with a text.
var asksStatus = regexp.MustCompile(`\bstages(?:\.[\w-]+|\["[^"]*"\])\.status\s*[!=]=\s*("[^"]*"|'[^']*')`)

// statuses refuses to compare a status with what it never is.
func (c *checker) statuses(p place, src string, offset int) {
	for _, m := range asksStatus.FindAllStringSubmatchIndex(src, 10) {
		word := src[m[2]+1 : m[3]-1]
		if statusWord(word) {
			continue
		}
		hint := fmt.Sprintf("write %q", otherWords[strings.ToLower(word)])
		if !statusWord(otherWords[strings.ToLower(word)]) {
			hint = c.nearest.hint(strings.ToLower(word), states, "states")
		}
		c.within("wrong-value", p.path, offset+m[2], offset+m[3], strings.ReplaceAll(hint, `"`, src[m[2]:m[2]+1]), fmt.Sprintf("the status of a stage is never %q", word))
	}
}
