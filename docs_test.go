package amlflow_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// pages returns every Markdown page, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root, out := os.DirFS("."), map[string]string{}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(p, ".md"):
			return nil
		}
		text, err := fs.ReadFile(root, p)
		out[p] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	caption = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	symbols = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			file := page
			if to != "" {
				file = path.Join(path.Dir(page), to)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %q, which does not exist", page, m[1])
			}
			if anchor != "" && !anchors(all[file])[anchor] {
				t.Errorf("%s links to %q, and there is no such heading", page, m[1])
			}
		}
	}
}

// anchors are the headings of a page as links name them.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range caption.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := symbols.ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

// The schemas are the home of every key; the reference must not lag behind.
func TestEveryKeyIsInTheReference(t *testing.T) {
	for schema, page := range map[string]string{
		"schema/pipeline.schema.json":          "docs/language.md",
		"schema/workspace.schema.json":         "docs/language.md",
		"schema/test.schema.json":              "docs/language.md",
		"workers/cluster/settings.schema.json": "docs/targets/cluster.md",
		"workers/local/settings.schema.json":   "docs/targets/local.md",
		"workers/ssh/settings.schema.json":     "docs/targets/ssh.md",
	} {
		text, err := os.ReadFile(schema)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		reference, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for key := range keysOf(tree, map[string]bool{}) {
			if !regexp.MustCompile("`[a-z_.]*\\b" + key + "`").Match(reference) {
				t.Errorf("%s has the key %q, and %s does not", schema, key, page)
			}
		}
	}
}

// keysOf gathers the names below every "properties" of a JSON Schema.
func keysOf(tree any, into map[string]bool) map[string]bool {
	switch tree := tree.(type) {
	case map[string]any:
		for name, below := range tree {
			if properties, ok := below.(map[string]any); ok && name == "properties" {
				for key := range properties {
					into[key] = true
				}
			}
			keysOf(below, into)
		}
	case []any:
		for _, below := range tree {
			keysOf(below, into)
		}
	}
	return into
}

// What a new user types is what CI runs.
func TestTheCommandOfTheReadmeIsTheOneOfCI(t *testing.T) {
	command := regexp.MustCompile(`go run github\.com/go-task/task/v3/cmd/task@v[\d.]+ test\b`)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ci, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	said := command.FindString(string(readme))
	if said == "" || !strings.Contains(string(ci), said) {
		t.Errorf("the README says %q, and .ci/run does not", said)
	}
}
