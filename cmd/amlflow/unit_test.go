package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0ms", 40 * time.Millisecond: "40ms", 400 * time.Millisecond: "0.4s", 59 * time.Second: "59.0s",
		245 * time.Second: "4m05s", 2*time.Hour + 3*time.Minute: "2h03m", 76 * time.Hour: "3d4h",
	} {
		if got := took(d); got != want {
			t.Errorf("took(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTableIgnoresColoursWhenItAligns(t *testing.T) {
	var b bytes.Buffer
	table(&b, [][]string{{"A", "B"}, {paint(true, red, "long"), "x"}, {"é", ""}})
	want := "A     B\n\x1b[31mlong\x1b[0m  x\né\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestCleanKeepsJobsFromSteeringTheTerminal(t *testing.T) {
	if got := clean("a\x1b]0;title\x07\tb\u009bc\r\n"); got != "a]0;title bc" {
		t.Errorf("%q", got)
	}
}

func TestStateFolder(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	for want, m := range map[string]map[string]string{
		"/a/b":       {"AMLFLOW_HOME": "/a/b", "XDG_STATE_HOME": "/x"},
		"/x/amlflow": {"XDG_STATE_HOME": "/x"},
	} {
		if got, err := stateFolder(env(m)); err != nil || got != want {
			t.Errorf("%v: %q, %v", m, got, err)
		}
	}
	t.Setenv("HOME", "/h")
	if got, _ := stateFolder(env(map[string]string{"XDG_STATE_HOME": "relative"})); got != "/h/.local/state/amlflow" {
		t.Errorf("%q", got)
	}
}

// Flags come before variables, variables before the workspace, and what belongs
// to the workspace's server is not sent to another.
func TestAddressOfTheEngine(t *testing.T) {
	w := &schema.Workspace{Engine: schema.Engine{Address: "w:1", Namespace: "wn", APIKeyEnv: "WKEY"}}
	env := map[string]string{}
	ask := func(p *program) string {
		a, err := p.external(w, func(k string) string { return env[k] })
		if err != nil {
			return err.Error()
		}
		if a == nil {
			return "embedded"
		}
		return fmt.Sprintf("%s %s %s", a.HostPort, a.Namespace, a.APIKey)
	}
	p := &program{}
	if got := ask(p); !strings.Contains(got, `"WKEY", which is not set`) {
		t.Error(got)
	}
	env["WKEY"] = "secret"
	if got := ask(p); got != "w:1 wn secret" {
		t.Error(got)
	}
	env["AMLFLOW_ADDRESS"] = "e:2"
	if got := ask(p); got != "e:2  " {
		t.Error(got)
	}
	p.address, p.namespace, env["AMLFLOW_API_KEY"] = "f:3", "fn", "mine"
	if got := ask(p); got != "f:3 fn mine" {
		t.Error(got)
	}
	p, env, w = &program{}, nil, nil
	if got := ask(p); got != "embedded" {
		t.Error(got)
	}
}

func TestExitCodes(t *testing.T) {
	p := &program{parsed: true}
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("anything"), exitFault},
		{usage(errors.New("x")), exitUsage},
		{fmt.Errorf("open: %w", cluster.ErrUnauthorised), exitNotAllowed},
		{fmt.Errorf("open: %w", cluster.ErrUnreachable), exitUnreachable},
		{fmt.Errorf("read: %w", fs.ErrNotExist), exitNotFound},
	} {
		if got := p.codeOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	for _, c := range []struct {
		status target.State
		cause  target.Cause
		want   int
	}{
		{target.Succeeded, "", 0}, {target.Running, "", 8}, {target.Failed, target.CauseExit, 10}, {target.Cancelled, "", 11}, {target.Failed, target.CauseTimeout, 12},
	} {
		r := &flow.Progress{Status: c.status, Stages: []flow.StageProgress{{Status: c.status, Cause: c.cause}}}
		if got := codeOfRun(r); got != c.want {
			t.Errorf("%v: %d, want %d", c, got, c.want)
		}
	}
}

// The record is a contract: what is not there yet is null, and the stages are in
// the order of the plan.
func TestRecord(t *testing.T) {
	r := &flow.Progress{
		Run: "r", Pipeline: "p", Status: target.Running, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600)),
		Stages: []flow.StageProgress{{Name: "z", Status: target.Waiting}, {Name: "a", Status: target.Waiting}},
	}
	b, err := json.Marshal(recordOf(r))
	if err != nil {
		t.Fatal(err)
	}
	stage := `{"status":"waiting","target":null,"attempts":0,"started":null,"ended":null,"exit":null,"outputs":{},"metrics":{},"error":null,"at":{"file":"","line":0,"column":0}}`
	want := `{"run":"r","pipeline":"p","workspace":"","status":"running","started":"2026-01-02T02:04:05Z","ended":null,"params":null,"stages":{"z":` + stage + `,"a":` + stage + `},"outputs":{},"error":null,"plan":""}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

// Each change is told once, in the order it came about.
func TestChangesAreToldOnce(t *testing.T) {
	at := time.Now()
	seen := stages{}
	r := &flow.Progress{Stages: []flow.StageProgress{{Name: "a", Status: target.Waiting}, {Name: "b", Status: target.Waiting}}}
	told := func() (out []string) {
		for _, s := range seen.changed(r) {
			out = append(out, s.Name+" "+string(s.Status))
		}
		return out
	}
	if got := told(); got != nil {
		t.Error(got)
	}
	r.Stages[1] = flow.StageProgress{Name: "b", Status: target.Succeeded, Attempts: 1, Started: at, Ended: at}
	r.Stages[0] = flow.StageProgress{Name: "a", Status: target.Running, Attempts: 1, Started: at.Add(time.Second)}
	if diff := cmp.Diff([]string{"b succeeded", "a running"}, told()); diff != "" {
		t.Error(diff)
	}
	r.Stages[0].Why = "trying again (1 times so far): x"
	if got := told(); len(got) != 1 {
		t.Error(got)
	}
	r.Stages[0].Why = "trying again (2 times so far): x"
	if got := told(); got != nil {
		t.Error(got)
	}
	// A turn that comes at once is no news, and one that is waited for is, once.
	r.Stages[0].Attempts, r.Stages[0].Why = 2, flow.Turn+": x"
	if got := told(); got != nil {
		t.Error(got)
	}
	r.Stages[0].Why = ""
	if got := told(); len(got) != 1 {
		t.Error(got)
	}
	r.Stages[0].Why = flow.Turn + ": x"
	for _, want := range []int{0, 1, 0} {
		if got := told(); len(got) != want {
			t.Errorf("%v, wanted %d", got, want)
		}
	}
}

func TestScreen(t *testing.T) {
	now := time.Now()
	m := &screen{id: "r1", wide: 60, high: 30, stop: func() {}}
	m.Update(looked{
		run: &flow.Progress{Pipeline: "p", Started: now, Ended: now.Add(2 * time.Second), Stages: []flow.StageProgress{
			{Name: "train", Status: target.Running, Target: "local", Attempts: 1, Started: now, Ended: now.Add(time.Second)},
			{Name: "serve", Status: target.Waiting},
		}},
		numbers: map[string]string{"train": "loss 0.5"}, words: map[string]string{"train": "epoch 7 of a line that is much too long to fit into this terminal"},
	})
	text := m.View().Content
	for _, want := range []string{"r1", "⠋ train", "running", "on local", "loss 0.5", "│ epoch 7", "· serve"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "terminal") {
		t.Errorf("a line wraps:\n%s", text)
	}
}

func TestScreenKeepsToTheTerminal(t *testing.T) {
	r := &flow.Progress{}
	for i := range 500 {
		r.Stages = append(r.Stages, flow.StageProgress{Name: fmt.Sprint("s", i), Status: target.Waiting})
	}
	r.Stages[400].Status = target.Running
	m := &screen{high: 40, now: looked{run: r}}
	if got := m.visible(r); len(got) != 20 || got[0] != 400 {
		t.Errorf("%v", got)
	}
}

func TestBuildIsStable(t *testing.T) {
	exe, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	id := elfBuildID(exe)
	if id == "" {
		id = textBuildID(exe)
	}
	if id == "" || build() != id {
		t.Errorf("build %q, id %q", build(), id)
	}
}

func TestHostEnvironment(t *testing.T) {
	got := hostEnv([]string{"PATH=/bin", "LC_ALL=C", "SECRET=x", "LD_PRELOAD=y", "HOME=/h"})
	if diff := cmp.Diff(map[string]string{"PATH": "/bin", "LC_ALL": "C", "HOME": "/h"}, got); diff != "" {
		t.Error(diff)
	}
}
