package schema

import (
	"fmt"
	"slices"
	"strings"
)

// clashes refuses names that are different in the file and the same to a machine.
func (c *checker) clashes() {
	body := map[string]bool{}
	for _, s := range c.p.Stages {
		body[s.Name] = true
	}
	for _, s := range c.p.Finally {
		if body[s.Name] {
			c.key("name-clash", s.Path, "rename one of them", "there are two stages named %q, in `stages` and in `finally`", s.Name)
		}
	}
	for _, s := range c.stages() {
		c.clash(s.Path+"/inputs", c.p.Source.Keys(s.Path+"/inputs"), "AMLFLOW_INPUT_")
		c.clash(s.Path+"/outputs", c.p.Source.Keys(s.Path+"/outputs"), "AMLFLOW_OUTPUT_")
	}
}

func (c *checker) clash(path string, names []string, prefix string) {
	if len(names) < 2 {
		return
	}
	first := map[string]string{}
	for _, name := range names {
		variable := prefix + variableName(name)
		if other, taken := first[variable]; taken {
			c.key("name-clash", join(path, name), "rename one of them", "%q and %q would both be $%s", other, name, variable)
			continue
		}
		first[variable] = name
	}
}

// variableName is the part of an environment variable that names an input or output.
func variableName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// environment refuses variables that the engine sets itself, and those that make a
// shell or loader run something before the stage does. PATH and PYTHON… are the
// user's own to set for a script of theirs, but not for the server that runs `score`.
func (c *checker) environment() {
	for _, s := range c.stages() {
		for _, e := range s.Env {
			if why := reservedVariable(e.Name, s.Deploy); why != "" {
				c.key("reserved-name", e.Path, "choose another name", "%q cannot be set: %s", e.Name, why)
			}
		}
	}
}

func reservedVariable(name string, deploy *Deploy) string {
	begins := func(prefixes ...string) bool {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	}
	switch {
	case begins("AMLFLOW_"):
		return "names that begin with AMLFLOW_ are the engine's"
	case begins("LD_", "DYLD_"):
		return "it decides which libraries every program loads"
	case name == "BASH_ENV" || name == "ENV" || name == "SHELLOPTS" || name == "BASHOPTS":
		return "it makes the shell run something before the script"
	case deploy != nil && name == "PORT":
		return "the engine chooses the port that an instance serves on"
	case deploy != nil && deploy.Score != "" && (begins("PYTHON") || name == "PATH"):
		return "it steers the server that runs the `score` file"
	}
	return ""
}

// needs checks the names in `needs`, and makes them edges.
func (c *checker) needs() {
	if c.p.alone {
		return // a template has none
	}
	body, last := map[string]bool{}, map[string]bool{}
	for _, s := range c.p.Stages {
		body[s.Name] = true
	}
	for _, s := range c.p.Finally {
		last[s.Name] = true
	}
	var bodyNames, allNames []string
	for _, s := range c.stages() {
		allNames = append(allNames, s.Name)
	}
	bodyNames = allNames[:len(c.p.Stages)]
	for _, s := range c.stages() {
		known, inLast := bodyNames, c.p.inFinally(s)
		if inLast {
			known = allNames
		}
		for i, name := range s.Needs {
			if slices.Contains(s.Needs[:min(i, 100)], name) && name != refused {
				if !c.few() {
					break
				}
				c.adviseValue("no-effect", fmt.Sprintf("%s/needs/%d", s.Path, i), "remove it", "stage %q needs %q twice", s.Name, name)
				continue
			}
			path := fmt.Sprintf("%s/needs/%d", s.Path, i)
			switch {
			case name == refused || name == "" && c.p.Source.text(path) == "":
			case name == s.Name:
				c.value("self-need", path, "remove it", "stage %q needs itself", s.Name)
			case body[name] || inLast && last[name]:
				c.edges[s.Name] = append(c.edges[s.Name], edge{to: name, at: c.p.Source.At(path), width: c.p.Source.Width(path), path: path})
			case last[name]:
				c.value("finally-reference", path, "move one of the two stages", "stage %q cannot need %q, which is in `finally` and runs after all others", s.Name, name)
			default:
				c.value("unknown-stage", path, c.needCure(name, known), "no stage named %q", name)
			}
		}
	}
}

// needCure is for a need that is no stage. Other tools name one item of a matrix, a
// result, or a stage by its path.
func (c *checker) needCure(name string, known []string) string {
	rest := strings.TrimPrefix(strings.Trim(name, "${} "), "stages.")
	stage := rest
	if i := strings.IndexAny(rest, "[(./: "); i > 0 {
		stage = rest[:i]
	}
	i := slices.Index(known, stage)
	switch {
	case i < 0 || stage == name:
		return c.nearest.hint(name, known, "stages")
	case c.all[i].Several():
		return fmt.Sprintf("write %s, which stands for all that it runs: one of them cannot be waited for alone", stage)
	}
	return "write " + stage
}
