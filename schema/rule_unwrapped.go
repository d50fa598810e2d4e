package schema

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

var (
	// reference looks like an expression that lost its braces.
	reference = regexp.MustCompile(`^(params\.[A-Za-z_]\w*|stages\.[\w-]+\.(outputs|metrics)\.\w+|each\.(item|index)|matrix\.[A-Za-z_]\w*)$`)

	// almost is an expression as other tools and the shell write it: {{ x }}, $(x), $x.
	almost = regexp.MustCompile(`\{\{\s*((?:params|stages|matrix|each|secrets)\.[\w.-]+|item(?:\.\w+)*)\s*\}\}|\$\(((?:params|stages)\.[\w.-]+)\)|\$((?:params|stages)\.\w[\w.-]*)`)

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
	if name == "item" || strings.HasPrefix(name, "item.") {
		name = "each." + name
	}
	if c.loose++; c.loose > maxLoose {
		return
	}
	message := fmt.Sprintf("this is the text %q, not the value of an expression", p.text[from:to])
	if p.text[from] == '$' {
		message = fmt.Sprintf("the shell reads %q, and there is no expression in it", p.text[from:to])
	}
	hint := fmt.Sprintf("write ${{ %s }}", name)
	if secret, ok := strings.CutPrefix(name, "secrets."); ok {
		hint = c.secretCure(p, secret)
	}
	c.within("unwrapped-expression", p.path, from, to, hint, message)
	c.findings[len(c.findings)-1].Severity = diag.Warning
}

// commented reports whether the end of text is in a comment of the shell.
func commented(text string) bool {
	line := text[strings.LastIndexByte(text, '\n')+1:]
	return strings.HasPrefix(strings.TrimSpace(line), "#") || strings.Contains(line, " #")
}
