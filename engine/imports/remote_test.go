package imports_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/schema"
)

// A template is fetched once and written into the lock; after that the repository
// may go away.
func TestFetchedOnceThenOffline(t *testing.T) {
	s, u := newSource(t), newUser(t)
	commit := s.commit("v1", map[string]string{"a/x.template.yaml": template("x", "run: python3 go.py", "code: lib"), "a/lib/go.py": "print(1)\n", "a/lib/deep/x": "2", "big/other": "x"})
	ref := s.ref("a/x.template.yaml", "v1")
	got := u.good(ref)
	if got.Name != "x" || got.Source.Name != ref || !filepath.IsAbs(got.Import.Folder) {
		t.Errorf("%#v", got.Import)
	}
	var names []string
	_ = fs.WalkDir(got.Import.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if fmt.Sprint(names) != "[lib/deep/x lib/go.py x.template.yaml]" {
		t.Errorf("it has the files %v", names)
	}
	wants(t, u.lock(), ref, commit, "sha256:")
	first := u.lock()
	s.git("tag", "-d", "v1")
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	u.options = imports.Options{Fetch: true, Locked: true, Offline: true}
	u.good(ref)
	u.options = imports.Options{}
	u.good(ref)
	if u.lock() != first {
		t.Error("the lock changed")
	}
}

// The tag moves: those who have the old content keep it, and nobody gets another one.
func TestMovedTag(t *testing.T) {
	s, u := newSource(t), newUser(t)
	old := s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: echo 1")})
	ref := s.ref("x.template.yaml", "v1")
	u.good(ref)
	lock := u.lock()
	now := s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: echo 2")})
	if got := u.good(ref); got.Stage.Run != "echo 1" {
		t.Errorf("it became %q", got.Stage.Run)
	}
	u.home = t.TempDir()
	said := u.bad(ref, "template-changed")
	wants(t, said, old[:12], now[:12], lock[strings.Index(lock, "sha256:"):][:71], "amlflow template update")
	if strings.Count(said, "sha256:") != 2 {
		t.Errorf("not both digests: %s", said)
	}
	if u.lock() != lock {
		t.Error("the lock changed")
	}
}

// A branch is meant to move: what was locked is fetched, wherever it is by now.
func TestMovedBranch(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.commit("", map[string]string{"x.template.yaml": template("x", "run: echo 1")})
	ref := s.ref("x.template.yaml", "main")
	u.good(ref)
	s.commit("", map[string]string{"x.template.yaml": template("x", "run: echo 2")})
	u.home = t.TempDir()
	u.options.Locked = true
	if got := u.good(ref); got.Stage.Run != "echo 1" {
		t.Errorf("it became %q", got.Stage.Run)
	}
}

func TestContentThatDiffersFromTheLock(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: ./go", "code: ."), "go": "1"})
	ref := s.ref("x.template.yaml", "v1")
	folder := u.good(ref).Import.Folder
	put(t, folder, map[string]string{"go": "2"})
	if said := u.bad(ref, "template-changed"); strings.Count(said, "sha256:") != 2 {
		t.Errorf("not both digests: %s", said)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	u.good(ref)
	put(t, folder, map[string]string{"more": "1"})
	u.bad(ref, "template-changed")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	put(t, u.dir, map[string]string{schema.LockName: strings.Replace(u.lock(), "sha256:", "sha256:0000", 1)})
	text := u.lock()
	i := strings.Index(text, "sha256:0000")
	put(t, u.dir, map[string]string{schema.LockName: text[:i+71] + text[i+75:]})
	if said := u.bad(ref, "template-changed"); strings.Count(said, "sha256:") != 2 {
		t.Errorf("not both digests: %s", said)
	}
}

func TestLockedAndOffline(t *testing.T) {
	s, u := newSource(t), newUser(t)
	commit := s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: echo 1")})
	ref := s.ref("x.template.yaml", "v1")
	for _, o := range []imports.Options{{Fetch: true, Locked: true}, {}} {
		u.options = o
		wants(t, u.bad(ref, "template-not-locked"), "amlflow template add "+ref)
	}
	u.options = imports.Options{Fetch: true, Offline: true}
	wants(t, u.bad(ref, "template-unreachable"), "--offline")
	u.options = imports.Options{Fetch: true}
	u.good(s.ref("x.template.yaml", commit))
	u.options = imports.Options{}
	u.good(s.ref("x.template.yaml", commit))
	if err := os.Remove(filepath.Join(u.dir, schema.LockName)); err != nil {
		t.Fatal(err)
	}
	u.good(s.ref("x.template.yaml", commit)) // a commit is what it says
	u.options, u.home = imports.Options{Fetch: true}, t.TempDir()
	u.good(ref)
	u.options, u.home = imports.Options{}, t.TempDir()
	wants(t, u.bad(ref, "template-unreachable"), "template add")
}

// Files of a repository find each other there, at the same commit.
func TestNestedInARepository(t *testing.T) {
	other, s, u := newSource(t), newSource(t), newUser(t)
	other.commit("v2", map[string]string{"deep.template.yaml": template("deep", "run: echo deep")})
	commit := s.commit("v1", map[string]string{
		"a/x.template.yaml":    template("x", "uses: ../b/y.template.yaml"),
		"b/y.template.yaml":    template("y", "uses: "+other.ref("deep.template.yaml", "v2")),
		"out.template.yaml":    template("out", "uses: ../../etc/passwd"),
		"built.template.yaml":  template("built", "uses: builtin/python-train"),
		"ring/a.template.yaml": template("a", "uses: ./b.template.yaml"),
		"ring/b.template.yaml": template("b", "uses: ./a.template.yaml"),
		"run.template.yaml":    template("run", "pipeline: sub/x.pipeline.yaml"),
		"sub/x.pipeline.yaml":  "amlflow: v1\npipeline: x\nstages: { a: { run: ./go, code: lib }, b: { run: ./go } }\n",
		"sub/lib/go":           "x",
		"sub/go":               "x",
	})
	x := u.good(s.ref("a/x.template.yaml", "v1"))
	if deep := x.Stage.Template.Stage.Template; deep == nil || deep.Name != "deep" {
		t.Errorf("%#v", x.Stage)
	}
	lock := u.lock()
	wants(t, lock, s.ref("a/x.template.yaml", "v1"), s.ref("b/y.template.yaml", "v1"), other.ref("deep.template.yaml", "v2"))
	if strings.Count(lock, commit) != 2 || strings.Count(lock, "\n\n") != 2 {
		t.Error(lock)
	}
	wants(t, u.bad(s.ref("out.template.yaml", "v1"), "bad-reference"), "leads out of the repository")
	u.good(s.ref("built.template.yaml", "v1"))
	wants(t, u.bad(s.ref("ring/a.template.yaml", "v1"), "import-cycle"), "uses itself")
	if run := u.good(s.ref("run.template.yaml", "v1")).Stage.Nested; run == nil || run.Stages[1].Run != "./go" {
		t.Error("the pipeline was not found")
	} else if _, err := fs.Stat(run.Import.Files, "lib/go"); err != nil {
		t.Error(err)
	}
	// One of the two is locked at another commit, as after a merge.
	next := s.commit("v1", map[string]string{"more": "1"})
	put(t, u.dir, map[string]string{schema.LockName: strings.Replace(lock, commit, next, 1)})
	u.home = t.TempDir()
	u.bad(s.ref("a/x.template.yaml", "v1"), "template-changed")
}

func TestTooDeep(t *testing.T) {
	s, u := newSource(t), newUser(t)
	files := map[string]string{}
	for i := range 11 {
		files[fmt.Sprintf("t%d.template.yaml", i)] = template("t", fmt.Sprintf("uses: ./t%d.template.yaml", i+1))
	}
	files["t11.template.yaml"] = template("t", "run: echo")
	s.commit("v1", files)
	u.bad(s.ref("t1.template.yaml", "v1"), "import-depth")
	u.good(s.ref("t2.template.yaml", "v1"))
}

// Several commits of a repository that leaves out large files, in one go.
func TestSeveralCommits(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.git("config", "uploadpack.allowFilter", "true")
	text := "amlflow: v1\npipeline: p\nstages:\n"
	for i := range 4 {
		tag := fmt.Sprintf("v%d", i)
		s.commit(tag, map[string]string{"x.template.yaml": template("x", "run: ./go", "code: lib"), "lib/go": tag, "large": strings.Repeat(tag, 9<<20)})
		text += fmt.Sprintf("  s%d: { uses: %q }\n", i, s.ref("x.template.yaml", tag))
	}
	p, found := u.link("p.pipeline.yaml", text)
	if len(found) > 0 {
		t.Fatal(found)
	}
	for i, st := range p.Stages {
		if got, err := fs.ReadFile(st.Template.Import.Files, "lib/go"); string(got) != fmt.Sprintf("v%d", i) {
			t.Errorf("%s ships %q, %v", st.Name, got, err)
		}
	}
}

// What a repository holds besides files is refused, and so is what is too much.
func TestHostileRepositories(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.commit("v1", map[string]string{"good.template.yaml": template("good", "run: echo", "code: lib"), "lib/x": "1", "linked/t.template.yaml": template("t", "run: ./x", "code: ."), "other/t.template.yaml": template("t", "run: ./x", "code: ."),
		"large/t.template.yaml": template("t", "run: ./x", "code: ."), "many/t.template.yaml": template("t", "run: ./x", "code: ."), "names/t.template.yaml": template("t", "run: ./x", "code: .")})
	for _, link := range [][2]string{{"good.template.yaml", "link.template.yaml"}, {"/etc", "linked/etc"}, {"lib", "folder"}} {
		if err := os.Symlink(link[0], filepath.Join(s.dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s.dir, map[string]string{"large/x": strings.Repeat("x", 17<<20), "names/a\nb": "x"})
	for i := range 2001 {
		put(t, s.dir, map[string]string{fmt.Sprintf("many/%d", i): "x"})
	}
	s.git("add", "-A")
	s.git("update-index", "--add", "--cacheinfo", "160000,"+s.git("rev-parse", "HEAD")+",other/module")
	s.git("commit", "-q", "-m", "hostile")
	s.git("tag", "v2")
	s.git("repack", "-adq")
	for path, want := range map[string][2]string{
		"link.template.yaml":     {"missing-template", "is a link"},
		"folder/x":               {"missing-template", "has no folder"},
		"lib":                    {"missing-template", "is a folder"},
		"linked/t.template.yaml": {"template-unreachable", `"etc" is a link`},
		"other/t.template.yaml":  {"template-unreachable", "is a submodule"},
		"large/t.template.yaml":  {"template-unreachable", "16 MiB"},
		"many/t.template.yaml":   {"template-unreachable", "more than 2000"},
		"names/t.template.yaml":  {"template-unreachable", `a\nb`},
		"god.template.yaml":      {"missing-template", `did you mean "good.template.yaml"?`},
		"none/x.template.yaml":   {"missing-template", "has no folder"},
	} {
		wants(t, u.bad(s.ref(path, "v2"), want[0]), want[1])
	}
	wants(t, u.bad(s.ref("good.template.yaml", "v3"), "missing-template"), "did you mean")
	wants(t, u.bad(s.ref("good.template.yaml", strings.Repeat("0", 40)), "template-unreachable"), "git:")
	wants(t, u.bad("git+file:///no/such/repository//x.yaml@v1", "template-unreachable"), "git:")
	s.git("config", "uploadpack.allowFilter", "true") // then what is too large is not even fetched
	wants(t, u.bad(s.ref("large/t.template.yaml", "v2"), "template-unreachable"), "16 MiB")
	u.good(s.ref("good.template.yaml", "v2"))
}

// Nothing of the repository or of the surroundings is run by git.
func TestGitRunsNothing(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: echo", "code: ."), ".gitattributes": "* filter=evil\n", "y": "1"})
	proof := filepath.Join(t.TempDir(), "proof")
	script := filepath.Join(t.TempDir(), "evil")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+proof+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config")
	put(t, filepath.Dir(config), map[string]string{"config": fmt.Sprintf("[core]\n\thooksPath = %s\n\tfsmonitor = %s\n[filter \"evil\"]\n\tsmudge = %s\n[uploadpack]\n\tpackObjectsHook = %s\n", filepath.Dir(script), script, script, script)})
	for _, hook := range []string{"reference-transaction", "post-index-change", "pre-receive"} {
		if err := os.Symlink(script, filepath.Join(filepath.Dir(script), hook)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_EXTERNAL_DIFF", script)
	u.good(s.ref("x.template.yaml", "v1"))
	if _, err := os.Stat(proof); err == nil {
		t.Error("a program was run")
	}
}
