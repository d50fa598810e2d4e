package diag

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

var update = flag.Bool("update", false, "write the reports in testdata")

// hostile has everything that some form gives a meaning to.
var hostile = Report{
	Tool: "amlflow", Version: "v1.2.3",
	Files: []string{"clean.pipeline.yaml", "ml/größe 100%,a:b;c]d::.pipeline.yaml"},
	Lines: func(_ string, n int) string {
		return map[int]string{14: "    target: gpu-clutser", 3: "::error::x ##vso[task.setvariable variable=PATH]/evil ##[add-mask]x"}[n]
	},
	Explain: func(code string) (string, bool) {
		page := "# unknown-target\n\nA stage names a target that the workspace\ndoes not have.\n\n## The cure\n\n```yaml\nrun: \"${{ params.x }}\"\n```\n"
		return page, code == "unknown-target"
	},
	Findings: Findings{
		{Pos: Pos{"", 0, 0}, Severity: Warning, Code: "no-file", Message: "this lies in no file"},
		{Pos: Pos{"../up/a.yaml", 1, 1}, Severity: Error, Code: "unknown-target", Message: "m"},
		{Pos: Pos{"./ml/digits.pipeline.yaml", 14, 13}, Width: 11, Severity: Error, Code: "unknown-target", Path: "/stages/train/target",
			Message: `no target named "gpu-clutser" in workspace "vision-team"`, Hint: `did you mean "gpu-cluster"?`},
		{Pos: Pos{"/abs/a.yaml", 2, 0}, Severity: Error, Code: "unknown-target", Message: "no column"},
		{Pos: Pos{"a:b.yaml", 0, 0}, Width: 3, Severity: Error, Code: "unknown-key", Message: "no line"},
		{Pos: Pos{"ml/größe 100%,a:b;c]d::.pipeline.yaml", 3, 1}, Severity: Error, Code: "bad-value", Path: "/a~1b/ü",
			Message: "line one\r\n::error::two, 100%25 %0A ##vso[task.complete]; ##[error] <b>&amp;\x1b[31mred\x00\x7f\u202e ${{ x }} [a](http://b) ]]>", Hint: "::add-mask::say\nmore; %3B"},
		{Pos: Pos{"ml/größe 100%,a:b;c]d::.pipeline.yaml", 3, 1}, Severity: Error, Code: "bad-value", Path: "/other", Message: "same place and code"},
		{Pos: Pos{"ml/größe 100%,a:b;c]d::.pipeline.yaml", 4, 2}, Severity: Warning, Code: "no-effect", Path: "/p", Message: "said twice", Hint: "say it once"},
		{Pos: Pos{"ml/größe 100%,a:b;c]d::.pipeline.yaml", 9, 2}, Severity: Warning, Code: "no-effect", Path: "/p", Message: "said twice", Hint: "say it once"},
		{Pos: Pos{"::stop-commands::x.yaml", 1, 1}, Severity: Warning, Code: "unknown-key", Message: "bad \xff bytes"},
	},
}

func printed(t *testing.T, kind string, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Print(&b, kind, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReports(t *testing.T) {
	for _, kind := range Kinds() {
		for name, r := range map[string]Report{"hostile": hostile, "clean": {Tool: "amlflow", Files: []string{"a.pipeline.yaml", "b.pipeline.yaml"}}} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				got, file := printed(t, kind, r), "testdata/"+name+"."+kind
				if !utf8.ValidString(got) && kind != "github" && kind != "azure" && kind != "text" {
					t.Error("not UTF-8")
				}
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestPrintRefusesWhatItDoesNotKnow(t *testing.T) {
	if err := Print(io.Discard, "sarf", Report{}); err == nil || !strings.Contains(err.Error(), "sarif") {
		t.Error(err)
	}
}

// The standard's own schema allows no property that it does not know.
func TestSARIFFollowsItsSchema(t *testing.T) {
	schema, err := jsonschema.Compile("testdata/sarif-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Report{hostile, {Tool: "amlflow"}, {Tool: "amlflow", Findings: hostile.Findings, Files: hostile.Files}} {
		var log any
		if err := json.Unmarshal([]byte(printed(t, "sarif", r)), &log); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(log); err != nil {
			t.Errorf("%#v", err)
		}
	}
	var wrong any = map[string]any{"version": "2.1.0", "runs": []any{map[string]any{}}}
	if schema.Validate(wrong) == nil {
		t.Error("the schema takes a run without a tool")
	}
}

func TestSARIFPointsIntoItself(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal([]byte(printed(t, "sarif", hostile)), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	for _, r := range run.Results {
		if got := run.Tool.Driver.Rules[r.Index].ID; got != r.Rule {
			t.Errorf("rule %d is %q, and the result says %q", r.Index, got, r.Rule)
		}
		for _, l := range r.Locations {
			u := l.Physical.Artifact
			if got := run.Artifacts[u.Index].Location; got != u {
				t.Errorf("artifact %d is %v, and the result says %v", u.Index, got, u)
			}
		}
	}
}

func TestJUnitIsXMLThatCounts(t *testing.T) {
	var all junitSuites
	if err := xml.Unmarshal([]byte(printed(t, "junit", hostile)), &all); err != nil {
		t.Fatal(err)
	}
	tests, failures := 0, 0
	for _, s := range all.Suites {
		names := map[string]bool{}
		for _, c := range s.Cases {
			if tests++; c.Failure != nil {
				failures++
			}
			names[c.Name] = true
		}
		if len(names) != len(s.Cases) || s.Tests != len(s.Cases) || s.Tests == 0 {
			t.Errorf("%q counts %d cases, and has %d with %d names", s.Name, s.Tests, len(s.Cases), len(names))
		}
	}
	if tests != all.Tests || failures != all.Failures || failures != 6 {
		t.Errorf("%d tests and %d failures, and it says %d and %d", tests, failures, all.Tests, all.Failures)
	}
}

func TestFingerprints(t *testing.T) {
	moved := Report{Findings: append(Findings{}, hostile.Findings...)}
	for i := range moved.Findings {
		moved.Findings[i].Line += 7
		moved.Findings[i].Hint = "another"
	}
	before, after := hostile.fingerprints(), moved.fingerprints()
	if d := cmp.Diff(before, after); d != "" {
		t.Error("they change with the line:", d)
	}
	seen := map[string]bool{}
	for _, p := range before {
		if seen[p] {
			t.Error("twice:", p)
		}
		seen[p] = true
	}
}

// A command is one line, and the CI reads out of it what went in.
func FuzzCommands(f *testing.F) {
	for _, x := range hostile.Findings {
		f.Add(x.File, x.Message, x.Hint, x.Line, x.Col, x.Width)
	}
	f.Fuzz(func(t *testing.T, file, message, hint string, line, col, width int) {
		x := Finding{Pos: Pos{file, line, col}, Width: width, Code: "code", Message: message, Hint: hint}
		said := strings.Map(printable, x.told("\n"))
		for kind, read := range map[string]func(string) (map[string]string, string){"github": asGitHub, "azure": asAzure} {
			got := printed(t, kind, Report{Findings: Findings{x}})
			if strings.ContainsAny(strings.TrimSuffix(got, "\n"), "\r\n") {
				t.Errorf("%s: more than one line: %q", kind, got)
			}
			properties, data := read(strings.TrimSuffix(got, "\n"))
			name := properties["file"] + properties["sourcepath"]
			if data != said || name != slashed(file) || properties["title"]+properties["code"] != "code" {
				t.Errorf("%s: %q is read as %q %q, wanted %q %q", kind, got, name, data, slashed(file), said)
			}
		}
	})
}

// asGitHub reads a line as the runner does (actions/runner, ActionCommand.TryParseV2).
func asGitHub(line string) (map[string]string, string) {
	head, data, _ := strings.Cut(strings.TrimPrefix(line, "::"), "::")
	_, list, _ := strings.Cut(head, " ")
	return pairs(list, ",", []string{"%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%"}),
		decode(data, []string{"%0D", "\r", "%0A", "\n", "%25", "%"})
}

// asAzure reads a line as the agent does (microsoft/azure-pipelines-agent, Command.TryParse).
func asAzure(line string) (map[string]string, string) {
	codes := []string{"%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%AZP25", "%"}
	head, data, _ := strings.Cut(strings.TrimPrefix(line, "##vso["), "]")
	_, list, _ := strings.Cut(head, " ")
	return pairs(list, ";", codes), decode(data, codes)
}

func pairs(list, between string, codes []string) map[string]string {
	out := map[string]string{}
	for _, p := range strings.Split(list, between) {
		name, value, _ := strings.Cut(p, "=")
		out[name] = decode(value, codes)
	}
	return out
}

// decode replaces one code after the other, as both of them do.
func decode(s string, codes []string) string {
	for i := 0; i < len(codes); i += 2 {
		s = strings.ReplaceAll(s, codes[i], codes[i+1])
	}
	return s
}

func TestTextGivesNoCommands(t *testing.T) {
	for line := range strings.Lines(printed(t, "text", hostile)) {
		if strings.Contains(line, "##vso[") || strings.Contains(line, "##[") || strings.HasPrefix(strings.TrimSpace(line), "::") {
			t.Errorf("a command: %q", line)
		}
	}
}
