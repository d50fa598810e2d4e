package schema_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema"
)

var gpu = []schema.Setting{{Name: "kind", Value: "ssh"}, {Name: "host", Value: "gpu1.lan"}, {Name: "port", Value: 22}}

const gpuLine = "gpu: { kind: ssh, host: gpu1.lan, port: 22 }"

func TestAddTargetLeavesTheRestAsItIs(t *testing.T) {
	for name, c := range map[string]struct{ before, after string }{
		"below the others, before the next key": {
			"amlflow: v1\nworkspace: w # mine\n\ntargets:\n    local:   { kind: local }  # here\n    two:\n      kind: local\n      # how many\n      nodes: 2   # a pair\n\n# who\nprofiles: {}\n",
			"amlflow: v1\nworkspace: w # mine\n\ntargets:\n    local:   { kind: local }  # here\n    two:\n      kind: local\n      # how many\n      nodes: 2   # a pair\n    " + gpuLine + "\n\n# who\nprofiles: {}\n",
		},
		"at the end, without a line end":      {"amlflow: v1\ntargets:\n  local: { kind: local }", "amlflow: v1\ntargets:\n  local: { kind: local }\n  " + gpuLine},
		"behind text over several lines":      {"targets:\n  a:\n    kind: x\n    text: |\n      one\n\n      two\nstore: s\n", "targets:\n  a:\n    kind: x\n    text: |\n      one\n\n      two\n  " + gpuLine + "\nstore: s\n"},
		"in braces":                           {"targets: { local: { kind: local } } # here\n", "targets: { local: { kind: local }, " + gpuLine + " } # here\n"},
		"in empty braces":                     {"targets: {}\n", "targets: { " + gpuLine + " }\n"},
		"in braces over lines, with a comma":  {"targets: {\n  local: { kind: local },\n}\n", "targets: {\n  local: { kind: local }, " + gpuLine + "\n}\n"},
		"where there were none, beside local": {"amlflow: v1\nworkspace: w\n", "amlflow: v1\nworkspace: w\n\ntargets:\n  local: { kind: local }\n  " + gpuLine + "\n"},
		"with a mark and other line ends":     {"\ufefftargets:\r\n  ü: { kind: local }\r\nstore: s\r\n", "\ufefftargets:\r\n  ü: { kind: local }\r\n  " + gpuLine + "\r\nstore: s\r\n"},
	} {
		got, err := schema.AddTarget([]byte(c.before), "gpu", gpu)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.after, string(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if strings.Contains(c.before, "targets") && !strings.Contains(c.before, "{}") {
			back, err := schema.RemoveTarget(got, "gpu")
			if d := cmp.Diff(strings.TrimSuffix(c.before, "\n"), strings.TrimSuffix(string(back), "\n")); err != nil || d != "" && !strings.Contains(name, "comma") {
				t.Errorf("%s: taken out again: %v %s", name, err, d)
			}
		}
	}
}

func TestSettingsAreQuotedWhereTheyMustBe(t *testing.T) {
	odd := []schema.Setting{{Name: "kind", Value: "x"}, {Name: "a", Value: "3.11"}, {Name: "b", Value: "a: b"}, {Name: "c", Value: []any{"x", 1, "y, z"}}, {Name: "d", Value: map[string]any{"e": true, "f": ""}}, {Name: "g", Value: "~/.ssh/id"}, {Name: "h", Value: "yes # no"}}
	got, err := schema.AddTarget([]byte("targets: {}"), "t", odd)
	want := `targets: { t: { kind: x, a: "3.11", b: "a: b", c: [x, 1, "y, z"], d: { e: true, f: "" }, g: ~/.ssh/id, h: "yes # no" } }`
	if d := cmp.Diff(want, string(got)); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestATargetThatCannotBeWrittenIsShown(t *testing.T) {
	for _, text := range []string{"{ targets: { local: { kind: local } } }\n", "x: &t { local: { kind: local } }\ntargets: *t\n", "targets:\nstore: s\n", "targets: [a]\n"} {
		got, err := schema.AddTarget([]byte(text), "gpu", gpu)
		if !errors.Is(err, schema.ErrByHand) || got != nil || !strings.Contains(err.Error(), gpuLine) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if _, err := schema.AddTarget([]byte("targets: ["), "gpu", gpu); err == nil {
		t.Error("a broken file was edited")
	}
	if _, err := schema.AddTarget([]byte("targets: { gpu: { kind: local } }"), "gpu", gpu); err == nil {
		t.Error("a second target of the same name was added")
	}
}

func TestRemoveTarget(t *testing.T) {
	for name, c := range map[string]struct{ before, after string }{
		"between others, comments stay": {"targets:\n  a: { kind: x }\n  # of gpu\n  gpu:\n    kind: y # why\n    list:\n    - 1\n  # of c\n  c: { kind: z }\n", "targets:\n  a: { kind: x }\n  # of gpu\n  # of c\n  c: { kind: z }\n"},
		"the first in braces":           {"targets: { gpu: { kind: x, l: [1, 2] }, b: { kind: y } }\n", "targets: { b: { kind: y } }\n"},
		"the last in braces":            {"targets: { b: { kind: y }, \"gpu\": { kind: x, l: [1, 2] } }\n", "targets: { b: { kind: y } }\n"},
	} {
		got, err := schema.RemoveTarget([]byte(c.before), "gpu")
		if d := cmp.Diff(c.after, string(got)); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
	if _, err := schema.RemoveTarget([]byte("targets: { gpu: { kind: x } }"), "gpu"); !errors.Is(err, schema.ErrOnlyTarget) {
		t.Errorf("the only target: %v", err)
	}
	if _, err := schema.RemoveTarget([]byte("targets: { a: &x { kind: x }, b: *x }"), "a"); !errors.Is(err, schema.ErrByHand) {
		t.Errorf("a target that another one repeats: %v", err)
	}
	if _, err := schema.RemoveTarget([]byte("targets: { a: { kind: x } }"), "b"); err == nil {
		t.Error("a target that is not there was removed")
	}
}

// Whatever a file holds, an edit gives a file that says what it said and the target, or
// nothing.
func FuzzAddTarget(f *testing.F) {
	for _, text := range []string{"targets:\n  a: {kind: x}\n", "targets: {a: {kind: x},}\n", "a: 1", "targets: # c\n  - x\n", "targets:\n  a: |+\n   x\n\n...\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := schema.AddTarget(text, "gpu", gpu)
		if err != nil {
			return
		}
		s, fs := schema.Read("", got)
		v, _ := s.Value("/targets/gpu/host")
		if fs.Bad() || v != "gpu1.lan" {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
