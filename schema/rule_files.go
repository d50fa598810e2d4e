package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// files checks that what stages name lies in the pipeline's folder.
func (c *checker) files() {
	if c.folder == nil {
		return
	}
	for _, s := range c.stages() {
		if s.Code != "" && pathOK(s.Code) {
			st, err := fs.Stat(c.folder, path.Clean(s.Code))
			if errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
				c.value("missing-file", s.Path+"/code", c.nearFile(s.Code), "there is no folder %q beside the pipeline", s.Code)
				continue
			}
		}
		if s.Deploy != nil {
			c.file(s, "/deploy/score", s.Deploy.Score)
			c.jsonFile(s, "/deploy/sample", s.Deploy.Sample)
			c.jsonFile(s, "/deploy/answer", s.Deploy.Answer)
			if s.Deploy.Answer != "" && s.Deploy.Sample == "" && c.valueOf(s.Path+"/deploy/sample") == nil {
				c.key("missing-key", s.Path+"/deploy/answer", "add `sample: FILE.json`", "stage %q has an answer and no sample to get it for", s.Name)
			}
		}
		c.scripts(s)
	}
}

// pathOK leaves out paths that shape has refused.
func pathOK(name string) bool { return fs.ValidPath(path.Clean(name)) && literal(name) }

func (c *checker) file(s *Stage, key, name string) bool {
	if name == "" || !pathOK(name) {
		return false
	}
	whole := path.Join(s.Code, name)
	st, err := fs.Stat(c.folder, whole)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.IsDir() {
		where := "the pipeline's folder"
		if s.Code != "" {
			where = fmt.Sprintf("the stage's code folder, %q", s.Code)
		}
		c.value("missing-file", s.Path+key, c.nearFile(whole), "there is no file %q in %s", name, where)
		return false
	}
	return err == nil
}

func (c *checker) jsonFile(s *Stage, key, name string) {
	if !c.file(s, key, name) {
		return
	}
	text, err := fs.ReadFile(c.folder, path.Join(s.Code, name))
	if err != nil {
		return
	}
	var ignored any
	if err := json.Unmarshal(text, &ignored); err != nil {
		c.value("not-json", s.Path+key, "correct the file, or name another", "%q does not hold JSON: %s", name, err)
	}
}

// nearFile proposes a file of the folder that the missing one should be in.
func (c *checker) nearFile(name string) string {
	dir, base := path.Split(path.Clean(name))
	entries, err := fs.ReadDir(c.folder, path.Clean("./"+dir))
	if err != nil {
		if _, err := fs.Stat(c.folder, base); err == nil {
			return fmt.Sprintf("did you mean %q?", base)
		}
		return fmt.Sprintf("there is no folder %q either; make it, or correct the path", path.Clean(dir))
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if near := c.nearest.name(base, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "make it, or correct the path"
}

// started finds the script of ours that a line starts with an interpreter or by its path.
var started = regexp.MustCompile(`(?m)^[ \t]*(?:exec[ \t]+)?(?:(?:python3?(?:\.[0-9]+)?|sh|bash)[ \t]+(?:-[uBEIsSe][ \t]+)*(?:\./)?|\./)([A-Za-z0-9_][A-Za-z0-9_./-]*\.(?:py|sh))(?:[ \t;&|>]|$)`)

// scripts advises about a script that is started and does not exist. It is advice,
// since an earlier line may make the file.
func (c *checker) scripts(s *Stage) {
	if len(s.Command) > 0 {
		c.commandScript(s)
	}
	for key, text := range map[string]string{"/run": s.Run, "/deploy/run": deployRun(s)} {
		if strings.Contains(text, "cd ") {
			continue
		}
		for _, m := range started.FindAllStringSubmatchIndex(text, -1) {
			name := text[m[2]:m[3]]
			if strings.Count(text, name) == 1 {
				c.missingScript(s, s.Path+key, m[2], m[3], name)
			}
		}
	}
}

func deployRun(s *Stage) string {
	if s.Deploy == nil {
		return ""
	}
	return s.Deploy.Run
}

var interpreters = regexp.MustCompile(`^(python3?(\.[0-9]+)?|sh|bash)$`)

func (c *checker) commandScript(s *Stage) {
	i := 0
	if interpreters.MatchString(path.Base(s.Command[0])) {
		for i++; i < len(s.Command) && strings.HasPrefix(s.Command[i], "-"); i++ {
		}
	}
	if i >= len(s.Command) || i == 0 && !strings.HasPrefix(s.Command[0], "./") {
		return
	}
	word := s.Command[i]
	if strings.HasSuffix(word, ".py") || strings.HasSuffix(word, ".sh") {
		c.missingScript(s, fmt.Sprintf("%s/command/%d", s.Path, i), 0, len(word), word)
	}
}

func (c *checker) missingScript(s *Stage, at string, from, end int, name string) {
	whole := path.Join(s.Code, name)
	if !fs.ValidPath(whole) || strings.HasPrefix(name, "/") || !literal(name) {
		return
	}
	if _, err := fs.Stat(c.folder, whole); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	c.within("missing-script", at, from, end, c.nearFile(whole), fmt.Sprintf("there is no file %q for stage %q to start", name, s.Name))
	c.findings[len(c.findings)-1].Severity = diag.Warning
}
