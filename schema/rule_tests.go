package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// checkTest looks for what the shape of a test file cannot say, as far as the file
// alone tells it.
type checkTest struct {
	t        *Test
	findings diag.Findings
}

func (t *Test) check() diag.Findings {
	c := &checkTest{t: t}
	c.mocks(t.Stages)
	for i := range t.Cases {
		c.mocks(t.Cases[i].Stages)
		c.expect(t.Cases[i].Expect)
	}
	for _, key := range []string{"params", "stages", "cases"} {
		c.texts("/"+key, asMap(t.Source.Tree)[key])
	}
	return c.findings
}

// isTest tells a test file, which names a pipeline where a pipeline file has its name.
func isTest(m map[string]any) bool {
	_, named := m["test"].(string)
	return named && m["cases"] != nil
}

// testSamples show how required keys of a test file may be written.
var testSamples = map[string]string{
	"test": "test: NAME", "pipeline": "pipeline: ./NAME.pipeline.yaml", "expect": "expect: { status: succeeded }", "code": "code: param-value",
	"cases": "cases: { it succeeds: { expect: { status: succeeded } } }",
}

// key reports the key that path ends with.
func (c *checkTest) key(code diag.Code, path, hint, format string, args ...any) {
	s := c.t.Source
	c.findings = append(c.findings, diag.Finding{Pos: s.KeyAt(path), Width: s.KeyWidth(path), Path: path, Severity: diag.Error, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// one reports all but the first of those keys that are written.
func (c *checkTest) one(path, what string, keys ...string) bool {
	var there []string
	for _, key := range c.t.Source.Keys(path) {
		if slices.Contains(keys, key) {
			there = append(there, key)
		}
	}
	if len(there) < 2 {
		return true
	}
	c.key("bad-test", path+"/"+there[1], "keep one of them", "%s has both %q and %q", what, there[0], there[1])
	return false
}

func (c *checkTest) mocks(mocks []Mock) {
	whole := map[string]bool{}
	for _, m := range mocks {
		whole[m.Stage] = true
	}
	for _, m := range mocks {
		what := fmt.Sprintf("the result of stage %q", m.Stage)
		c.mock(m, what)
		for i, item := range m.Items {
			c.mock(item, fmt.Sprintf("item %d of stage %q", i, m.Stage))
		}
		for name := range around(m.Stage) {
			if name != m.Stage && whole[name] {
				c.key("bad-test", m.Path, "leave one of them out: with a result of its own a stage does not run its pipeline", "stage %q has a result of its own, so that %q never runs", name, m.Stage)
			}
		}
	}
}

// outcomes are the keys that say what comes of one attempt.
var outcomes = []string{"outputs", "metrics", "exit", "signal", "fails", "takes"}

func (c *checkTest) mock(m Mock, what string) {
	c.one(m.Path, what, "attempts", "items")
	if len(m.Attempts) > 0 || len(m.Items) > 0 {
		c.apart(m.Path, what)
	} else {
		c.result(m.Result, what)
	}
	for i, r := range m.Attempts {
		c.result(r, fmt.Sprintf("attempt %d of %s", i+1, strings.TrimPrefix(what, "the result of ")))
	}
	c.one(m.Path, what, "approve", "reject", "nobody")
	s := c.t.Source
	for _, key := range []string{"after", "comment"} {
		if s.said(m.Path+"/"+key) && !s.said(m.Path+"/approve") && !s.said(m.Path+"/reject") {
			c.key("bad-test", m.Path+"/"+key, "add `approve: NAME` or `reject: NAME`", "%s says %q of a person, and not who", what, key)
		}
	}
}

// apart reports results beside those of attempts or items.
func (c *checkTest) apart(path, what string) {
	list := "attempts"
	if c.t.Source.said(path + "/items") {
		list = "items"
	}
	for _, key := range c.t.Source.Keys(path) {
		if slices.Contains(outcomes, key) {
			c.key("bad-test", path+"/"+key, fmt.Sprintf("write it in each of the %s", list), "%s has %q beside %q", what, key, list)
		}
	}
}

func (c *checkTest) result(r Result, what string) {
	if c.one(r.Path, what, "exit", "signal", "fails") && r.Failing() && len(r.Outputs) > 0 {
		c.key("bad-test", r.Path+"/outputs", "leave them out", "%s fails, and an attempt that fails has no outputs", what)
	}
}

func (c *checkTest) expect(e Expect) {
	if len(e.Findings) == 0 {
		return
	}
	for _, key := range c.t.Source.Keys(e.Path) {
		if key != "findings" {
			c.key("bad-test", e.Path+"/"+key, "keep one of them", "a run that findings keep from starting has no %q", key)
		}
	}
}

// maxLiteral bounds how many texts are reported: one shows what is meant.
const maxLiteral = 20

// texts warns of expressions, which mean nothing in a test.
func (c *checkTest) texts(path string, v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, key := range c.t.Source.Keys(path) {
			c.texts(join(path, key), x[key])
		}
	case []any:
		for i, item := range x {
			c.texts(path+"/"+strconv.Itoa(i), item)
		}
	case string:
		if strings.Contains(x, "${{") && !strings.HasSuffix(path, "/description") && len(c.findings) < maxLiteral {
			s := c.t.Source
			c.findings = append(c.findings, diag.Finding{Pos: s.At(path), Width: s.Width(path), Path: path, Severity: diag.Warning, Code: "bad-test",
				Message: "nothing in a test is evaluated: this is the text as it stands", Hint: "write the value"})
		}
	}
}
