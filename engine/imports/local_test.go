package imports_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/specs"
)

func TestFilesOfTheWorkspace(t *testing.T) {
	u := newUser(t)
	outside := t.TempDir()
	put(t, outside, map[string]string{"x.template.yaml": template("x", "run: echo out")})
	put(t, u.dir, map[string]string{
		"top.template.yaml":       template("top", "run: echo", "code: ."),
		"team/a/x.template.yaml":  template("x", "uses: ../../top.template.yaml"),
		"team/a/up.template.yaml": template("up", "uses: ../../../top.template.yaml"),
		"me.template.yaml":        template("me", "uses: ./me.template.yaml"),
		"broken.template.yaml":    template("broken", "runn: echo"),
	})
	for _, link := range [][2]string{{filepath.Join(outside, "x.template.yaml"), "out.template.yaml"}, {outside, "folder"}, {"top.template.yaml", "in.template.yaml"}, {"../" + filepath.Base(outside), "rel"}} {
		if err := os.Symlink(link[0], filepath.Join(u.dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(u.dir, "pipe.template.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := u.good("./team/a/x.template.yaml")
	if top := x.Stage.Template; top == nil || top.Source.Name != filepath.Join(u.dir, "top.template.yaml") || top.Import.Folder != u.dir {
		t.Errorf("%#v", top)
	}
	u.good("./in.template.yaml")
	for uses, want := range map[string][2]string{
		"../x.template.yaml":            {"bad-reference", "leads out of"},
		"./team/a/up.template.yaml":     {"bad-reference", "leads out of"},
		"./out.template.yaml":           {"bad-reference", "is a link that leads out of"},
		"./folder/x.template.yaml":      {"bad-reference", "is a link that leads out of"},
		"./rel/x.template.yaml":         {"bad-reference", "is a link that leads out of"},
		"./pipe.template.yaml":          {"missing-template", "not a file"},
		"./team/a":                      {"missing-template", "not a file"},
		"./tpo.template.yaml":           {"missing-template", `did you mean "top.template.yaml"?`},
		"./top":                         {"missing-template", `did you mean "top.template.yaml"?`},
		"./none/x.template.yaml":        {"missing-template", "there is no folder"},
		"./me.template.yaml":            {"import-cycle", "uses itself"},
		"./broken.template.yaml":        {"unknown-key", "broken.template.yaml:4:3"},
		"builtin/python-tarin":          {"missing-template", `did you mean "builtin/python-train"?`},
		"builtin/zzz":                   {"missing-template", "builtin/ and one of"},
		"git+https://u:p@host/r//x@v1":  {"bad-reference", "no user name"},
		"git+https://host/r//../x@v1":   {"bad-reference", "path in a repository"},
		"git+https://host/r//x@--exec=": {"bad-reference", "tag, branch"},
	} {
		wants(t, u.bad(uses, want[0]), want[1])
	}
}

// A pipeline in a folder of the workspace sees all of it, and names files as the
// person would.
func TestPipelinesUsePipelines(t *testing.T) {
	u := newUser(t)
	put(t, u.dir, map[string]string{"b/x.pipeline.yaml": "amlflow: v1\npipeline: x\nstages: { a: { uses: ../t.template.yaml } }\n", "t.template.yaml": template("t", "run: echo")})
	p, fs := u.link("a/p.pipeline.yaml", "amlflow: v1\npipeline: p\nstages: { a: { pipeline: ../b/x.pipeline.yaml }, b: { pipeline: ../b/y.pipeline.yaml } }\n")
	if len(fs) != 1 || fs[0].Code != "missing-file" || !strings.Contains(fs[0].Hint, "x.pipeline.yaml") {
		t.Error(fs)
	}
	if n := p.Stages[0].Nested; n == nil || n.Stages[0].Template == nil || n.Source.Name != filepath.Join(u.dir, "b/x.pipeline.yaml") {
		t.Errorf("%#v", p.Stages[0])
	}
	if len(p.Sources()) != 2 {
		t.Errorf("%d sources", len(p.Sources()))
	}
}

// The scripts of our own templates become files, again when somebody changed them;
// checking writes nothing.
func TestBuiltins(t *testing.T) {
	u := newUser(t)
	u.options = imports.Options{}
	for _, name := range specs.Names() {
		u.good("builtin/" + name)
	}
	if left, _ := os.ReadDir(u.home); len(left) > 0 {
		t.Error("checking wrote into the state folder")
	}
	u.options.Fetch = true
	for _, name := range specs.Names() {
		in := u.good("builtin/" + name)
		files, err := fs.Glob(os.DirFS(in.Import.Folder), "*/*.py")
		if err != nil || in.Stage.Code != "" && len(files) == 0 {
			t.Errorf("%s ships %v, %v", name, files, err)
		}
		if len(files) == 0 {
			continue
		}
		put(t, in.Import.Folder, map[string]string{files[0]: "evil"})
		again := u.good("builtin/" + name)
		if text, _ := os.ReadFile(filepath.Join(again.Import.Folder, files[0])); string(text) == "evil" {
			t.Errorf("%s keeps what somebody wrote into it", name)
		}
	}
}

// A lock with mistakes is shown with its places, and is not replaced.
func TestBrokenLock(t *testing.T) {
	u := newUser(t)
	put(t, u.dir, map[string]string{schema.LockName: "amlflow: v1\ntemplates:\n  x: 1\n", "t.template.yaml": template("t", "run: echo")})
	_, found := u.link("p.pipeline.yaml", pipeline("./t.template.yaml"))
	if !found.Bad() || found[0].File != filepath.Join(u.dir, schema.LockName) || found[0].Line != 3 {
		t.Error(found)
	}
}
