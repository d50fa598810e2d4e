package specs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/specs"
)

func read(t *testing.T, name string) *schema.Template {
	t.Helper()
	text, err := fs.ReadFile(specs.Templates(), name+".template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, found := schema.ReadTemplate(name, text)
	got.Import.Files = specs.Templates()
	if found = append(found, got.Check(nil)...); len(found) > 0 {
		t.Fatal(found)
	}
	return got
}

// Our templates are silent, and say what they and their parameters are for.
func TestTemplatesAreInOrder(t *testing.T) {
	if len(specs.Names()) < 5 {
		t.Fatal("only", specs.Names())
	}
	for _, name := range specs.Names() {
		got := read(t, name)
		if got.Name != name || got.Description == "" {
			t.Errorf("%s is named %q and described as %q", name, got.Name, got.Description)
		}
		for _, p := range got.Params {
			if p.Description == "" {
				t.Errorf("%s: the parameter %q has no description", name, p.Name)
			}
		}
		if code := got.Stage.Code; code != "" && code != name {
			t.Errorf("%s ships the folder %q, which is another one's", name, code)
		}
	}
}

// written finds a script that a template holds itself.
var written = regexp.MustCompile(`(?s)cat > "\$TMPDIR/(\w+\.py)" <<'SCRIPT'\n(.*?\n)SCRIPT\n`)

// The scripts are tested by themselves, as their templates have them.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed: apt-get install python3")
	}
	scripts := t.TempDir()
	for _, name := range specs.Names() {
		got := read(t, name)
		if m := written.FindStringSubmatch(got.Stage.Run); m != nil {
			put(t, filepath.Join(scripts, m[1]), []byte(m[2]))
		}
		own, _ := fs.Glob(specs.Templates(), name+"/*.py")
		for _, file := range own {
			text, err := fs.ReadFile(specs.Templates(), file)
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(scripts, filepath.Base(file)), text)
		}
	}
	tests, err := filepath.Glob("testdata/test_*.py")
	if err != nil || len(tests) == 0 {
		t.Fatal("no tests", err)
	}
	for _, test := range tests {
		t.Run(strings.TrimSuffix(filepath.Base(test), ".py"), func(t *testing.T) {
			t.Parallel()
			c := exec.Command("python3", "-B", test)
			c.Env = append(os.Environ(), "PYTHONPATH="+scripts, "SCRIPTS="+scripts, "TMPDIR="+t.TempDir(), "PYTHONUTF8=1")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func put(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
