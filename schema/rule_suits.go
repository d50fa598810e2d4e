package schema

import "fmt"

// alien are keys that make no sense beside what a stage does, with the cure.
var alien = []struct {
	kind string
	cure string
	keys []string
}{
	{"approve", "a stage that waits for a person runs nothing: say it in a stage that needs this one",
		[]string{"target", "inputs", "outputs", "register", "metrics", "env", "secrets", "environment", "cache", "code", "resources", "launch", "priority", "queue_timeout", "checkpoint", "retry", "matrix", "each", "until", "sweep", "concurrency"}},
	{"pipeline", "say it in the stages of the pipeline that it names",
		[]string{"target", "outputs", "register", "metrics", "env", "secrets", "environment", "cache", "code", "resources", "launch", "priority", "queue_timeout", "checkpoint", "timeout", "until", "sweep"}},
	{"pipeline", "give it in `with`, and declare it among the params of the pipeline", []string{"inputs"}},
	{"uses", "say it in the template: what it gives is its promise, and not its user's", []string{"outputs", "metrics"}},
	{"batch", "leave it out: how a batch begins its processes, and what it goes on from, is its own", []string{"launch", "checkpoint"}},
	{"batch", "tune in a stage that trains: a batch scores with what that gives", []string{"sweep"}},
	{"deploy", "say it in a stage that runs something", []string{"cache", "priority", "queue_timeout", "checkpoint", "register", "until", "matrix", "each", "sweep", "launch"}},
}

// suits refuses keys that would have no effect.
func (c *checker) suits() {
	for _, s := range c.stages() {
		for _, a := range alien {
			if s.kind() == a.kind || a.kind == "uses" && s.Uses != "" || a.kind == s.usedKind() {
				c.aliens(s, a.kind, a.keys, a.cure)
			}
		}
		c.beside(s)
		if c.p.alone {
			c.ofUser(s)
		}
	}
}

func (c *checker) aliens(s *Stage, kind string, keys []string, cure string) {
	if at := s.Path + "/timeout"; kind == "approve" && c.valueOf(at) != nil {
		c.key("no-effect", at, "write `approve: { timeout: … }`", "`timeout` is for an attempt to run something")
	}
	for _, key := range keys {
		if path := s.Path + "/" + key; c.valueOf(path) != nil {
			c.key("no-effect", path, cure, "`%s` has no effect in a stage with `%s`", key, kind)
		}
	}
}

// kind is the key that says what the stage does; "" when none does.
func (s *Stage) kind() string {
	switch {
	case s.Run != "":
		return "run"
	case len(s.Command) > 0:
		return "command"
	case s.Batch != nil:
		return "batch"
	case s.Deploy != nil:
		return "deploy"
	case s.Approve != nil:
		return "approve"
	case s.Pipeline != "":
		return "pipeline"
	case s.Uses != "":
		return "uses"
	}
	return ""
}

// usedKind is what the template of a stage does, which may itself use one.
func (s *Stage) usedKind() string {
	for s.Template != nil {
		s = &s.Template.Stage
	}
	return s.kind()
}

// beside refuses keys that need another one.
func (c *checker) beside(s *Stage) {
	alone := func(key, what string) {
		if path := s.Path + "/" + key; c.valueOf(path) != nil && (key == "with" || asMap(c.valueOf(path)) == nil) {
			c.key("no-effect", path, fmt.Sprintf("remove it, or add %s", what), "`%s` has no effect without %s", key, what)
		}
	}
	if !c.p.Source.said(s.Path+"/uses") && !c.p.Source.said(s.Path+"/pipeline") {
		alone("with", "`uses` or `pipeline`")
	}
	if !c.p.Source.said(s.Path+"/matrix") && !c.p.Source.said(s.Path+"/each") {
		if c.valueOf(s.Path+"/sweep") != nil && c.valueOf(s.Path+"/parallel") != nil {
			c.key("no-effect", s.Path+"/parallel", "write it among the `limits` of the sweep", "`parallel` has no effect without `matrix` or `each`")
		} else {
			alone("parallel", "`matrix` or `each`")
		}
	}
	if s.Matrix != nil && s.Each != nil {
		c.key("two-kinds", s.Path+"/each", "put one of them into a stage of its own", "stage %q has both `matrix` and `each`", s.Name)
	}
}

// ofUser refuses in a template what only the pipeline that uses it can say.
func (c *checker) ofUser(s *Stage) {
	for _, key := range []string{"matrix", "each", "sweep", "parallel", "needs"} {
		if path := s.Path + "/" + key; c.valueOf(path) != nil {
			c.key("no-effect", path, "say it in the stage that uses the template", "a template says what one stage does; `%s` is for the pipeline that uses it", key)
		}
	}
}
