package pyenv

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files again")

// What a person is told, for what the tools really said.
func TestExplain(t *testing.T) {
	const file = "testdata/explain.txtar"
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{dir: "/envs/d", what: "six", python: Interpreter{Version: "3.11.2", Path: "/usr/bin/python3"}}
	said := ""
	for i, f := range a.Files {
		name, part, _ := strings.Cut(f.Name, ".")
		if part == "said" {
			said = string(f.Data)
			continue
		}
		argv := m.pip("install", "--requirement", "x")
		if name == "venv" {
			argv = []string{"/usr/bin/python3", "-I", "-m", "venv", "x"}
		}
		text, mayPass := m.explain(&failure{argv: argv, how: "exit status 1", said: said})
		got := text + "\n"
		if mayPass {
			got += "(it may pass)\n"
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: a password is told: %s", name, got)
		}
		if *update {
			a.Files[i].Data = []byte(got)
		} else if d := cmp.Diff(string(f.Data), got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
