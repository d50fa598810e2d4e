package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
)

var (
	// reference looks like an expression that lost its braces.
	reference = regexp.MustCompile(`^(params\.[A-Za-z_]\w*|stages\.[\w-]+\.(outputs|metrics)\.\w+)$`)

	// almost is an expression as other tools and the shell write it: {{ x }}, $(x), $x.
	almost = regexp.MustCompile(`\{\{\s*((?:params|stages)\.[\w.-]+)\s*\}\}|\$\(((?:params|stages)\.[\w.-]+)\)|\$((?:params|stages)\.\w[\w.-]*)`)

	// shellBraces is one in the shell's braces, which the shell cannot read.
	shellBraces = regexp.MustCompile(`^\$\{(?:params|stages)\.[\w.-]+\}`)
)

// maxUnwrapped is how many expressions without their braces are worth saying in one text.
const maxUnwrapped = 10

// maxLoose is how many are worth saying in one file.
const maxLoose = 300

// unwrapped advises about what was meant as an expression and is none. The whole
// text may be the name of a value; in other text it takes some braces or a dollar.
func (c *checker) unwrapped(p place, whole bool) {
	if whole && reference.MatchString(p.text) {
		c.unwrappedAt(p, 0, len(p.text), p.text)
		return
	}
	for _, m := range almost.FindAllStringSubmatchIndex(p.text, maxUnwrapped) {
		from, to := m[0], m[1]
		if from > 0 && p.text[from-1] == '$' || commented(p.text[:from]) {
			continue
		}
		i := 2
		for m[i] < 0 {
			i += 2
		}
		c.unwrappedAt(p, from, to, strings.TrimRight(p.text[m[i]:m[i+1]], ".-"))
	}
}

func (c *checker) unwrappedAt(p place, from, to int, name string) {
	c.use(strings.SplitN(name, ".", 3))
	if c.loose++; c.loose > maxLoose {
		return
	}
	message := fmt.Sprintf("this is the text %q, not the value of an expression", p.text[from:to])
	if p.text[from] == '$' {
		message = fmt.Sprintf("the shell reads %q, and there is no expression in it", p.text[from:to])
	}
	c.within("unwrapped-expression", p.path, from, to, fmt.Sprintf("write ${{ %s }}", name), message)
	c.findings[len(c.findings)-1].Severity = diag.Warning
}

// commented reports whether the end of text is in a comment of the shell.
func commented(text string) bool {
	line := text[strings.LastIndexByte(text, '\n')+1:]
	return strings.HasPrefix(strings.TrimSpace(line), "#") || strings.Contains(line, " #")
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
}

// meant guesses which value an unknown name stands for: the beginning of the path
// may be missing, or its middle.
func (c *checker) meant(e expr.Error) string {
	called := func(s *Stage) bool { return s.Name == e.Name }
	switch path := e.Parent; {
	case len(path) == 0 && slices.ContainsFunc(c.p.Params, func(p Param) bool { return p.Name == e.Name }):
		return "write params." + e.Name
	case len(path) == 0 && slices.ContainsFunc(c.stages(), called):
		return "write stages." + e.Name
	case len(path) == 0:
		return otherNames[e.Name]
	case len(path) == 2 && path[0] == "stages":
		return c.meantOf(path[1], e.Name)
	}
	return ""
}

// meantOf guesses which result of a stage is meant by a name directly behind it.
func (c *checker) meantOf(stage, name string) string {
	if slices.Contains([]string{"result", "outcome", "conclusion", "state", "phase"}, name) {
		return fmt.Sprintf("write stages.%s.status", stage)
	}
	i := slices.IndexFunc(c.stages(), func(s *Stage) bool { return s.Name == stage })
	if i < 0 {
		return ""
	}
	s, is := c.stages()[i], func(d Declared) bool { return d.Name == name }
	switch {
	case slices.ContainsFunc(s.Outputs, is):
		return fmt.Sprintf("write stages.%s.outputs.%s", stage, name)
	case slices.ContainsFunc(s.Metrics, is):
		return fmt.Sprintf("write stages.%s.metrics.%s", stage, name)
	}
	return ""
}
