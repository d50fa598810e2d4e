package imports_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/schema"
)

// open is an importer of the workspace, and its files.
func (u *user) open(files ...string) (*imports.Importer, []string) {
	u.t.Helper()
	o := u.options
	o.Dir, o.Workspace, o.Home = u.dir, u.dir, u.home
	im, found, err := imports.New(u.t.Context(), o)
	if err != nil || len(found) > 0 {
		u.t.Fatal(found, err)
	}
	u.t.Cleanup(func() { _ = im.Close() })
	for i := range files {
		files[i] = filepath.Join(u.dir, files[i])
	}
	return im, files
}

func (u *user) read(name string) string {
	u.t.Helper()
	text, err := os.ReadFile(filepath.Join(u.dir, name))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text)
}

func survey(t *testing.T, im *imports.Importer, files []string) *imports.Survey {
	t.Helper()
	s, err := im.Survey(files)
	if err != nil || len(s.Findings) > 0 {
		t.Fatal(s.Findings, err)
	}
	return s
}

func TestVendor(t *testing.T) {
	other, s, u := newSource(t), newSource(t), newUser(t)
	other.commit("v2", map[string]string{"deep.template.yaml": template("deep", "run: ./go", "code: c"), "c/go": "x"})
	if err := os.Chmod(filepath.Join(other.dir, "c/go"), 0o755); err != nil {
		t.Fatal(err)
	}
	other.commit("v2", nil)
	s.commit("v1", map[string]string{
		"a/x.template.yaml": template("x", "uses: ../b/y.template.yaml"),
		"b/y.template.yaml": template("y", "uses: "+other.ref("deep.template.yaml", "v2")+" # deep"),
	})
	x := s.ref("a/x.template.yaml", "v1")
	folded := "amlflow: v1\npipeline: p\nstages:\n  a:\n    uses: >-\n      " + x + "\n"
	put(t, u.dir, map[string]string{"team/p.pipeline.yaml": pipeline(x), "own.template.yaml": template("own", "uses: '"+x+"'"), "folded.pipeline.yaml": folded})

	im, files := u.open("team/p.pipeline.yaml", "own.template.yaml", "folded.pipeline.yaml")
	found := survey(t, im, files)
	if _, err := im.Vendor(found, "../out"); err == nil {
		t.Error("it went out of the workspace")
	}
	done, err := im.Vendor(found, "lib/vendor")
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Left) != 1 || done.Left[0].At.Line != 5 || !strings.HasPrefix(done.Left[0].Ref, "./lib/vendor/") || u.read("folded.pipeline.yaml") != folded {
		t.Errorf("%#v", done.Left)
	}
	if len(done.Copied) != 4 || len(done.Edited) != 2 {
		t.Errorf("%v %v", done.Copied, done.Edited)
	}
	home := "lib/vendor" + strings.ReplaceAll(s.dir, ".git", "") + "/v1/"
	if want := pipeline("../" + home + "a/x.template.yaml"); u.read("team/p.pipeline.yaml") != want {
		t.Error(cmp.Diff(want, u.read("team/p.pipeline.yaml")))
	}
	wants(t, u.read(home+"b/y.template.yaml"), "uses: ../../", "/v2/deep.template.yaml # deep")
	if info, err := os.Stat(filepath.Join(u.dir, "lib/vendor"+other.dir+"/v2/c/go")); err != nil || info.Mode()&0o100 == 0 {
		t.Error("the program cannot be run", err)
	}
	if len(im.Lock().Entries) != 3 {
		t.Error("the lock lost what is still used")
	}
	// Once nothing is left the lock is empty, and everything works without git.
	put(t, u.dir, map[string]string{"folded.pipeline.yaml": pipeline(done.Left[0].Ref)})
	u.options, u.home = imports.Options{Offline: true, Locked: true}, t.TempDir()
	im, _ = u.open()
	if s := survey(t, im, files); len(s.Uses) < 5 {
		t.Errorf("%v", s.Uses)
	}
	if p, bad := u.link("team/p.pipeline.yaml", u.read("team/p.pipeline.yaml")); len(bad) > 0 || p.Stages[0].Template.Stage.Template.Stage.Template.Name != "deep" {
		t.Error(bad)
	}
}

// A copy that somebody changed is not replaced, and then nothing is written.
func TestVendorLeavesChangedCopies(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: echo")})
	text := pipeline(s.ref("x.template.yaml", "v1"))
	put(t, u.dir, map[string]string{"p.pipeline.yaml": text, "v" + s.dir + "/v1/x.template.yaml": "mine"})
	im, files := u.open("p.pipeline.yaml")
	if _, err := im.Vendor(survey(t, im, files), "v"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Error(err)
	}
	if u.read("p.pipeline.yaml") != text {
		t.Error("the pipeline was changed")
	}
}

func TestUpdate(t *testing.T) {
	other, s, u := newSource(t), newSource(t), newUser(t)
	other.commit("v1", map[string]string{"o.template.yaml": template("o", "run: echo")})
	s.commit("v1", map[string]string{
		"x.template.yaml": "amlflow: v1\ntemplate: x\nparams: { a: { type: integer, default: 1 }, b: { type: string, default: x }, c: { type: number, default: 1, maximum: 3 }, gone: { type: string, default: x } }\nstage: { uses: ./y.template.yaml }\n",
		"y.template.yaml": template("y", "run: echo"), "unused.template.yaml": template("unused", "run: echo"),
	})
	x, o := s.ref("x.template.yaml", "v1"), other.ref("o.template.yaml", "v1")
	put(t, u.dir, map[string]string{"p.pipeline.yaml": pipeline(x), "o.pipeline.yaml": pipeline(o)})
	im, files := u.open("p.pipeline.yaml", "o.pipeline.yaml")
	survey(t, im, files)
	unused, _ := schema.ParseRef("template", s.ref("unused.template.yaml", "v1"))
	if _, found := im.Add(unused); len(found) > 0 {
		t.Fatal(found)
	}
	notes, err := im.Save()
	if err != nil || len(notes) != 4 {
		t.Fatal(notes, err)
	}
	s.commit("v1", map[string]string{
		"x.template.yaml": "amlflow: v1\ntemplate: x\nparams: { a: { type: number, default: 1 }, b: { type: string, default: y }, c: { type: number, default: 1, maximum: 4 }, new: { type: string, default: z }, must: { type: folder } }\nstage: { uses: ./z.template.yaml }\n",
		"z.template.yaml": template("z", "run: echo"),
	})
	other.commit("v1", map[string]string{"o.template.yaml": template("o", "run: echo 2")})

	r, _ := schema.ParseRef("template", x)
	im, _ = u.open()
	changes, found, err := im.Update(files, []schema.Ref{r})
	if err != nil {
		t.Fatal(err)
	}
	_ = found // that "must" is not given is for Check to say
	got := map[string]string{}
	for _, c := range changes {
		got[filepath.Base(c.Ref)] = strings.Join(c.Params, "; ")
		if (c.New.Commit == "") != strings.HasPrefix(filepath.Base(c.Ref), "y.") && !strings.HasPrefix(filepath.Base(c.Ref), "unused") {
			t.Errorf("%#v", c)
		}
	}
	want := map[string]string{"x.template.yaml@v1": `parameter "gone" is gone; parameter "a" is number, and was integer; parameter "b" is y by default, and was x; parameter "c" has other bounds; parameter "new" (string) is new, z by default; parameter "must" (folder) is new, and must be given`,
		"y.template.yaml@v1": "", "z.template.yaml@v1": "", "unused.template.yaml@v1": ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// All: what nothing leads to stays as it was.
	im, _ = u.open()
	if _, err := im.Save(); err != nil {
		t.Fatal(err)
	}
	put(t, u.dir, map[string]string{"o.pipeline.yaml": pipeline("builtin/python-train")})
	im, _ = u.open()
	changes, _, err = im.Update(files, nil)
	if err != nil || strings.Contains(changes[0].Ref, "/o.template") {
		t.Error(changes, err)
	}
	if _, there := im.Lock().Find(o); !there || len(im.Unused()) != 1 {
		t.Errorf("unused: %v", im.Unused())
	}
}

// Two commands that add to the lock at the same time lose nothing.
func TestSaveMerges(t *testing.T) {
	s, u := newSource(t), newUser(t)
	s.commit("v1", map[string]string{"x.template.yaml": template("x", "run: echo"), "y.template.yaml": template("y", "run: echo")})
	one, _ := u.open()
	two, _ := u.open()
	for im, path := range map[*imports.Importer]string{one: "x.template.yaml", two: "y.template.yaml"} {
		r, _ := schema.ParseRef("template", s.ref(path, "v1"))
		if _, found := im.Add(r); len(found) > 0 {
			t.Fatal(found)
		}
	}
	for _, im := range []*imports.Importer{one, two} {
		if notes, err := im.Save(); err != nil || len(notes) != 1 {
			t.Fatal(notes, err)
		}
	}
	if strings.Count(u.lock(), "commit:") != 2 {
		t.Error(u.lock())
	}
	if found, have := func() (int, int) { f, h := two.FetchAll(); return len(f), len(h) }(); found != 0 || have != 2 {
		t.Error(found, have)
	}
}
