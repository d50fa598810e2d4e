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

// site is a folder with code of a stage, and how its files are named in findings.
type site struct {
	files fs.FS
	stage *Stage              // that says what is looked for
	at    func(string) string // the place of a key of the stage
	uses  string              // where the template is used that the stage is of; "" for a stage of this file
}

// files checks that what stages name lies in the pipeline's folder. A template
// without a code folder of its own runs in that of its user, and is looked at there.
func (c *checker) files() {
	if c.folder == nil {
		return
	}
	for _, s := range c.stages() {
		if c.reports > maxReports {
			return // each looks into folders
		}
		switch {
		case s.Template != nil:
			c.filesOfTemplate(s)
		case !c.p.alone || s.Code != "":
			c.filesOf(site{files: c.folder, stage: s, at: s.At})
		}
	}
}

// filesOfTemplate looks in the code folder of s for what its template names.
func (c *checker) filesOfTemplate(s *Stage) {
	inner, code := s.Template.Stage, s.Code
	for inner.Template != nil && inner.Code == "" {
		inner = inner.Template.Stage
	}
	if inner.Code != "" || isExpression(code) || c.p.alone {
		return
	}
	inner.Code = code
	at := s.Path + "/uses"
	c.filesOf(site{files: c.folder, stage: &inner, at: func(string) string { return at }, uses: at})
}

func (c *checker) filesOf(w site) {
	s := w.stage
	if s.Code != "" && pathOK(s.Code) {
		st, err := fs.Stat(w.files, path.Clean(s.Code))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
			c.value("missing-file", w.at("code"), c.nearFile(s.Code), "there is no folder %q beside the pipeline", s.Code)
			return
		}
	}
	if s.Batch != nil {
		c.file(w, "batch/score", s.Batch.Score)
	}
	if s.Deploy != nil {
		c.filesOfDeploy(w)
	}
	if python := s.Environment.Python; python != nil {
		c.file(w, "environment/python/requirements", python.Requirements)
	}
	c.scripts(w)
}

func (c *checker) filesOfDeploy(w site) {
	d := w.stage.Deploy
	c.file(w, "deploy/score", d.Score)
	c.jsonFile(w, "deploy/sample", d.Sample)
	c.jsonFile(w, "deploy/answer", d.Answer)
	if d.Answer != "" && d.Sample == "" && w.uses == "" && c.valueOf(w.at("deploy/sample")) == nil {
		c.key("missing-key", w.at("deploy/answer"), "add `sample: FILE.json`", "stage %q has an answer and no sample to get it for", w.stage.Name)
	}
}

// pathOK leaves out paths that shape has refused.
func pathOK(name string) bool { return fs.ValidPath(path.Clean(name)) && literal(name) }

func (c *checker) file(w site, key, name string) bool {
	if name == "" || !pathOK(name) {
		return false
	}
	code := w.stage.Code
	whole := path.Join(code, name)
	st, err := fs.Stat(w.files, whole)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.IsDir() {
		where := "the pipeline's folder"
		if code != "" {
			where = fmt.Sprintf("the stage's code folder, %q", code)
		}
		if w.uses != "" {
			where += ", which its template wants"
		}
		c.value("missing-file", w.at(key), c.nearFile(whole), "there is no file %q in %s", name, where)
		return false
	}
	return err == nil
}

func (c *checker) jsonFile(w site, key, name string) {
	if !c.file(w, key, name) {
		return
	}
	text, err := fs.ReadFile(w.files, path.Join(w.stage.Code, name))
	if err != nil {
		return
	}
	var ignored any
	if err := json.Unmarshal(text, &ignored); err != nil {
		c.value("not-json", w.at(key), "correct the file, or name another", "%q does not hold JSON: %s", name, err)
	}
}

// nearFile proposes a file of the folder that the missing one should be in.
func (c *checker) nearFile(name string) string {
	c.reports++
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
func (c *checker) scripts(w site) {
	if len(w.stage.Command) > 0 {
		c.commandScript(w)
	}
	c.startedIn(w, "run", w.stage.Run)
	if w.stage.Deploy != nil {
		c.startedIn(w, "deploy/run", w.stage.Deploy.Run)
	}
}

func (c *checker) startedIn(w site, key, text string) {
	if !strings.Contains(text, ".py") && !strings.Contains(text, ".sh") || strings.Contains(text, "cd ") {
		return
	}
	for _, m := range started.FindAllStringSubmatchIndex(text, -1) {
		name := text[m[2]:m[3]]
		if strings.Count(text, name) == 1 {
			c.missingScript(w, w.at(key), m[2], m[3], name)
		}
	}
}

var interpreters = regexp.MustCompile(`^(python3?(\.[0-9]+)?|sh|bash)$`)

func (c *checker) commandScript(w site) {
	i, words := 0, w.stage.Command
	if interpreters.MatchString(path.Base(words[0])) {
		for i++; i < len(words) && strings.HasPrefix(words[i], "-"); i++ {
		}
	}
	if i >= len(words) || i == 0 && !strings.HasPrefix(words[0], "./") {
		return
	}
	word := words[i]
	if strings.HasSuffix(word, ".py") || strings.HasSuffix(word, ".sh") {
		c.missingScript(w, w.at(fmt.Sprintf("command/%d", i)), 0, len(word), word)
	}
}

func (c *checker) missingScript(w site, at string, from, end int, name string) {
	whole := path.Join(w.stage.Code, name)
	if !fs.ValidPath(whole) || strings.HasPrefix(name, "/") || !literal(name) {
		return
	}
	if _, err := fs.Stat(w.files, whole); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if w.uses != "" {
		c.adviseValue("missing-script", at, c.nearFile(whole), "there is no file %q, which the template starts in the pipeline's folder", name)
		return
	}
	c.within("missing-script", at, from, end, c.nearFile(whole), fmt.Sprintf("there is no file %q for stage %q to start", name, w.stage.Name))
	c.findings[len(c.findings)-1].Severity = diag.Warning
}
