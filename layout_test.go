// Package amlflow_test holds the floor plan of the house as tests: which package
// may import which, which one owns which third-party module, and a few habits
// that no compiler checks. ARCHITECTURE.md shows the same plan as a picture.
package amlflow_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/amlflow/amlflow"

// room is one package: what it may import of ours, and the third-party modules
// that it owns. The standard library is open to all.
type room struct{ name, may, owns string }

// A trailing "..." admits everything below. A new package is a new line here.
var plan = []room{
	// The language: it knows no machine.
	{"schema/diag", "", ""},
	{"schema/expr", "schema/diag", "github.com/expr-lang/expr mvdan.cc/sh/v3"},
	{"schema/cron", "", ""},
	{"schema", "schema/cron schema/diag schema/expr", "gopkg.in/yaml.v3 go.yaml.in/yaml/v4 github.com/santhosh-tekuri/jsonschema/v5"},

	// The machines: they know no pipeline, and only the top one knows Temporal.
	{"workers/target", "", ""},
	{"workers/targettest", "workers/target workers/batch", "github.com/santhosh-tekuri/jsonschema/v5"},
	{"workers/jobdir", "", ""},
	{"workers/pyenv", "workers/target workers/jobdir", ""},
	{"workers/gateway", "workers/target workers/jobdir workers/pyenv", ""},
	{"workers/ranks", "workers/target workers/jobdir", ""},
	{"workers/tracking", "workers/target workers/jobdir workers/ranks workers/registry", ""},
	{"workers/local", "workers/target workers/jobdir workers/ranks workers/pyenv workers/gateway workers/tracking", ""},
	{"workers/mask", "", ""},
	{"workers/secrets", "workers/target workers/jobdir", "filippo.io/age"},
	{"workers/dummy", "workers/target", ""},
	{"workers/probe", "workers/target", ""},
	{"workers/remote", "workers/target workers/jobdir workers/pyenv workers/ranks workers/tracking", ""},
	{"workers/ssh", "workers/target workers/jobdir workers/pyenv workers/gateway workers/ranks workers/remote workers/secrets workers/tracking", "golang.org/x/crypto github.com/kevinburke/ssh_config"},
	{"workers/slurm", "workers/target workers/jobdir workers/pyenv workers/ranks workers/remote workers/ssh workers/tracking", ""},
	{"workers/builtin", "workers/target workers/cluster workers/docker workers/gateway workers/local workers/slurm workers/ssh workers/tracking", ""},
	{"workers/docker", "workers/target workers/jobdir workers/pyenv workers/gateway workers/ranks workers/secrets workers/tracking", "github.com/moby/moby/client github.com/moby/moby/api github.com/containerd/errdefs"},
	{"workers/rigs", "", ""},
	{"workers/cluster/schedule", "", ""},
	{"workers/cluster", "workers/target workers/jobdir workers/local workers/slurm workers/ssh workers/tracking workers/cluster/schedule", ""},
	{"workers/registry", "workers/target", ""},
	{"workers/batch", "workers/target", ""},
	{"workers", "workers/target workers/batch workers/mask workers/registry workers/tracking", "go.temporal.io/sdk"},

	// The bridge: the only place that knows both.
	{"engine/tune", "", ""},
	{"engine/plan", "engine/tune engine/unified schema schema/diag schema/expr workers/batch workers/target", ""},
	{"engine/flow", "engine/plan engine/tune schema/diag workers workers/batch workers/registry workers/target", "go.temporal.io/sdk go.temporal.io/api"},
	{"engine/stretch", "engine/flow engine/plan workers workers/target", "go.temporal.io/sdk"},
	{"engine/rehearsal", "engine/plan engine/flow schema schema/diag schema/expr workers workers/target", "go.temporal.io/sdk"},
	{"engine/blob", "workers/target", ""},
	{"engine/snapshot", "workers/target", ""},
	{"engine/unified", "", ""},
	{"engine/commit", "", ""},
	{"engine/imports", "schema schema/diag specs", ""},
	{"engine/cluster", "", "go.temporal.io/server go.temporal.io/sdk go.temporal.io/api google.golang.org/grpc google.golang.org/protobuf modernc.org/sqlite github.com/google/uuid"},
	{"engine/server", "engine/cluster", "go.temporal.io/sdk go.temporal.io/api"},
	{"engine", "engine/... schema schema/cron schema/diag schema/expr workers workers/registry workers/target workers/mask workers/secrets", "go.temporal.io/sdk go.temporal.io/api google.golang.org/grpc"},

	// The door: it puts the pieces together.
	{"cmd/amlflow/startup", "", ""},
	{"cmd/amlflow", "...", "github.com/spf13/cobra charm.land/bubbletea/v2 charm.land/lipgloss/v2 golang.org/x/term"},
	{"docs/findings", "", ""},

	// The scales: what amlflow takes, beside others.
	{"bench", "engine engine/cluster engine/flow engine/server workers/builtin workers/target", "go.temporal.io/sdk"},
	{"specs", "", ""},

	// Those who break it: they see the program from outside only.
	{"chaos", "", ""},

	// This file.
	{".", "", ""},
}

// A test may also import everything of its own side of the house, the modules
// that side owns, and what is only for tests.
var (
	sides = map[string]string{
		"schema":  "schema/... docs/findings",
		"workers": "workers/...",
		"engine":  "engine/... schema/... workers/...",
		"cmd":     "...",
		"docs":    "docs/... schema/...",
		"bench":   "bench/... schema/...",
		"specs":   "specs/... schema/...",
	}
	testModules = "github.com/google/go-cmp github.com/rogpeppe/go-internal golang.org/x/tools/txtar pgregory.net/rapid go.uber.org/goleak"
)

// vague names say nothing about what is inside.
var vague = []string{"util", "utils", "common", "helper", "helpers", "shared", "base", "misc", "types", "models", "lib", "pkg", "internal"}

// longest is the most lines one file may have before it is two things.
const longest = 500

// file is one parsed source file of the module.
type file struct {
	path  string // with slashes, from the root
	dir   string
	test  bool
	lines int
	ast   *ast.File
}

func TestImportsFollowTheFloorPlan(t *testing.T) {
	for _, f := range sources(t) {
		for _, im := range f.ast.Imports {
			to, err := strconv.Unquote(im.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if why := refuse(f.dir, to, f.test); why != "" {
				t.Errorf("%s: %s", f.path, why)
			}
		}
	}
}

func TestEveryRoomIsOnThePlan(t *testing.T) {
	exists := map[string]bool{}
	for _, f := range sources(t) {
		exists[f.dir] = true
		for _, word := range strings.Split(f.dir, "/") {
			if slices.Contains(vague, word) {
				t.Errorf("%s: a package named %q does not say what is inside", f.path, word)
			}
		}
	}
	for dir := range exists {
		if find(dir) == nil {
			t.Errorf("package %q is not on the floor plan: add a line to layout_test.go and to ARCHITECTURE.md", dir)
		}
	}
	for _, r := range plan {
		if !exists[r.name] {
			t.Errorf("the floor plan has %q, which does not exist", r.name)
		}
	}
}

// A permission that nobody uses is a door left open.
func TestThePlanAllowsNothingUnused(t *testing.T) {
	used := map[string][]string{}
	for _, f := range sources(t) {
		for _, im := range f.ast.Imports {
			if to, err := strconv.Unquote(im.Path.Value); err == nil && !f.test {
				used[f.dir] = append(used[f.dir], strings.TrimPrefix(to, module+"/"))
			}
		}
	}
	for _, r := range plan {
		for _, allowed := range strings.Fields(r.may + " " + r.owns) {
			if !slices.ContainsFunc(used[r.name], func(to string) bool { return admits(allowed+" "+allowed+"/...", to) }) && allowed != "..." {
				t.Errorf("the floor plan lets %q import %q, and it does not: take it off the line", r.name, allowed)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs := map[string]string{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		docs[f.dir] += f.ast.Doc.Text()
		if want := "Package " + f.ast.Name.Name + " "; f.ast.Name.Name != "main" && f.ast.Doc != nil && !strings.HasPrefix(f.ast.Doc.Text(), want) {
			t.Errorf("%s: the package doc begins %.30q, not %q", f.path, f.ast.Doc.Text(), want)
		}
	}
	for dir, doc := range docs {
		if doc == "" {
			t.Errorf("package %q has no doc: one sentence that says what it is", dir)
		}
	}
}

// What runs at import time cannot be seen, ordered or tested; lists are visible. The
// one that must come before all others says why.
func TestNothingRunsAtImport(t *testing.T) {
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.test && f.dir != "cmd/amlflow/startup" {
				t.Errorf("%s has an init function: make it a visible call or list", f.path)
			}
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range sources(t) {
		if f.lines > longest {
			t.Errorf("%s has %d lines, more than %d: it is more than one thing", f.path, f.lines, longest)
		}
	}
}

func TestTheRulesRefuse(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test     bool
		refused  bool
	}{
		{"schema", "engine", false, true},
		{"schema", "schema/expr", false, false},
		{"schema", "os", false, false},
		{"engine/plan", "go.temporal.io/sdk/workflow", false, true},
		{"engine/flow", "go.temporal.io/sdk/workflow", false, false},
		{"engine/flow", "schema/expr", false, true},
		{"engine", "go.temporal.io/server/temporal", true, false},
		{"schema", "go.temporal.io/sdk/client", true, true},
		{"workers/target", "golang.org/x/sys/unix", false, true},
		{"workers/local", "workers/targettest", false, true},
		{"workers/local", "workers/targettest", true, false},
		{"workers/local", "engine", true, true},
		{"workers/local", "github.com/google/go-cmp/cmp", false, true},
		{"nowhere", "fmt", false, false},
		{"nowhere", "schema", false, true},
	} {
		to := c.to
		if find(to) != nil {
			to = module + "/" + to
		}
		if got := refuse(c.from, to, c.test); (got != "") != c.refused {
			t.Errorf("%q importing %q (test: %t) was answered %q", c.from, c.to, c.test, got)
		}
	}
}

// refuse says why a package may not import another; "" means that it may.
func refuse(from, to string, test bool) string {
	if first, _, _ := strings.Cut(to, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	var r room
	if found := find(from); found != nil {
		r = *found
	}
	if ours, ok := strings.CutPrefix(to, module+"/"); ok {
		if admits(r.may, ours) || test && (ours == from || admits(sides[side(from)], ours)) {
			return ""
		}
		return fmt.Sprintf("package %q may import %q of ours, and not %q", from, r.may, ours)
	}
	owned := r.owns
	if test {
		owned += " " + testModules
		for _, other := range plan {
			if side(other.name) == side(from) {
				owned += " " + other.owns
			}
		}
	}
	for _, m := range strings.Fields(owned) {
		if to == m || strings.HasPrefix(to, m+"/") {
			return ""
		}
	}
	return fmt.Sprintf("package %q does not own %q (docs/decisions/0007-dependencies.md says who does)", from, to)
}

func admits(list, name string) bool {
	for _, m := range strings.Fields(list) {
		if base, all := strings.CutSuffix(m, "..."); m == name || all && (strings.HasPrefix(name, base) || name == strings.TrimSuffix(base, "/")) {
			return true
		}
	}
	return false
}

func side(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

func find(name string) *room {
	for i := range plan {
		if plan[i].name == name {
			return &plan[i]
		}
	}
	return nil
}

// sources parses every Go file of the module, for whatever system it is built.
func sources(t *testing.T) []file {
	t.Helper()
	var out []file
	root := os.DirFS(".")
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, file{path: p, dir: path.Dir(p), test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(text, []byte("\n")), ast: parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
