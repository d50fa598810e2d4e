package plan

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// The parts of the id of a job; see target.Job.ID. Around a stage in another pipeline
// stand the names and attempts of the stages that run it.
const (
	maxID      = 200
	runPart    = 8
	triesPart  = len(".10000-9999") // item and attempt
	nestedPart = triesPart + 1
)

// jobs sees that jobs of this pipeline have ids of their own, and short enough. The
// stages of a pipeline that stage "a" runs have jobs that begin with "a.1.".
func (c *compiler) jobs(stages []*Stage) {
	around := runPart
	for name := range strings.SplitSeq(strings.TrimSuffix(c.prefix, "/"), "/") {
		if name != "" {
			around += nestedPart + len(name)
		}
	}
	var running []string
	for _, s := range stages {
		if s.Nested != nil {
			running = append(running, s.Name+".")
		}
		if around+1+len(s.Name)+triesPart > maxID {
			c.named(s, "bad-name", fmt.Sprintf("stage %q lies so deep, in stages with such long names, that its jobs cannot be named", c.prefix+s.Name), "give it and the stages around it shorter names")
		}
	}
	for _, s := range stages {
		for _, prefix := range running {
			if strings.HasPrefix(s.Name, prefix) {
				c.named(s, "name-clash", fmt.Sprintf("jobs of stage %q could have the names of jobs in the pipeline that stage %q runs", s.Name, strings.TrimSuffix(prefix, ".")), "rename one of them, for example with - instead of .")
			}
		}
	}
}

// named reports the key that names a stage.
func (c *compiler) named(s *Stage, code diag.Code, message, hint string) {
	c.find(diag.Finding{Pos: s.At, Width: len(s.Name), Code: code, Message: message, Hint: hint})
}
