package schema

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// amounts checks what a pattern of the schema cannot: values too large, or zero.
func (c *checker) amounts() {
	for _, s := range c.stages() {
		for _, key := range []string{"timeout", "queue_timeout", "retry/backoff", "deploy/ready", "batch/timeout", "until/every", "approve/timeout", "cache/max_age"} {
			c.time(s.At(key))
		}
		c.sizes(s)
		for i, on := range s.Retry.On {
			code, isExit := strings.CutPrefix(on, "exit ")
			if n, err := strconv.Atoi(code); isExit && err == nil && (n < 1 || n > 255) {
				c.value("wrong-value", fmt.Sprintf("%s/%d", s.At("retry/on"), i), "exit codes of failures go from 1 to 255", "no failure has the exit code %d", n)
			}
		}
	}
}

func (c *checker) sizes(s *Stage) {
	if text := s.Resources.Memory; bytesPattern.MatchString(text) {
		if _, err := ParseBytes(text); err != nil {
			c.value("wrong-value", s.At("resources/memory"), "write for example 512Mi or 4Gi", "%s", err)
		}
	}
	at := s.At("resources/cpus")
	if n, err := strconv.ParseFloat(s.Resources.CPUs, 64); err == nil && isText(c.valueOf(at)) && n <= 0 {
		c.value("wrong-value", at, "write a number above 0", "a stage cannot run on %s cores", s.Resources.CPUs)
	}
}

func (c *checker) valueOf(path string) any {
	v, _ := c.p.Source.Value(path)
	return v
}

func (c *checker) time(path string) {
	text, ok := c.p.Source.Text(path)
	if !ok || !durationPattern.MatchString(text) {
		return
	}
	switch d, err := ParseDuration(text); {
	case err != nil:
		c.value("wrong-value", path, "write for example 30s, 10m or 2h", "%s", err)
	case d == 0:
		c.value("wrong-value", path, "write a time above zero, or remove the key", "%q is no time at all", text)
	}
}

// literal reports whether text holds no expression.
func literal(text string) bool {
	t, errs := expr.Split(text)
	return len(errs) == 0 && t.IsLiteral()
}
