package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

// odd is the form of settings that no kind in this program has all of.
func odd() settingsForm {
	return formOf(target.Kind{Name: "odd", Settings: []byte(`{
		"type": "object", "required": ["host"],
		"properties": {
			"host": { "description": "Where.", "type": "string" },
			"hosts": { "description": "Several.", "type": "array" },
			"nodes": { "description": "How many.", "type": "object", "properties": {
				"min": { "description": "At least.", "type": "integer", "default": 0 },
				"token": { "description": "A key.", "type": "string", "writeOnly": true } } },
			"password": { "description": "Where it is kept.", "$ref": "#/$defs/secret" },
			"priority": { "description": "Which.", "enum": ["low", "high"] },
			"size": { "description": "Any.", "type": ["string", "integer"] } },
		"$defs": { "secret": { "type": "object", "properties": { "env": { "description": "A variable.", "type": "string" } } } } }`)})
}

func TestSettingsAreListed(t *testing.T) {
	want := []settingRow{
		{"host", "string", "must be said", "Where."},
		{"hosts", "array", "-", "Several."},
		{"nodes", "object", "-", "How many."}, {"nodes.min", "integer", "0", "At least."}, {"nodes.token", "string", "-", "A key."},
		{"password", "object", "-", "Where it is kept."}, {"password.env", "string", "-", "A variable."},
		{"priority", "low|high", "-", "Which."},
		{"size", "string|integer", "-", "Any."},
	}
	if d := cmp.Diff(want, odd().rows()); d != "" {
		t.Error(d)
	}
}

func TestSecretSettingsAreHidden(t *testing.T) {
	got := odd().shown([]byte(`{"host": "h", "nodes": {"min": 1, "token": "t0p"}, "password": {"env": "PW"}, "unknown": 1}`))
	want := map[string]any{"host": "h", "nodes": map[string]any{"min": 1.0, "token": "***"}, "password": map[string]any{"env": "PW"}, "unknown": 1.0}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSettingsAreReadAsTheirKindTakesThem(t *testing.T) {
	got, err := odd().read([]string{"host=10", "hosts=a", "hosts=[b, c]", "nodes.min=2", "size=4", "nodes.token=no", "password={env: PW}", "new=true", "size2=a: b: c"})
	want := []schema.Setting{
		{Name: "host", Value: "10"}, {Name: "hosts", Value: []any{"a", "b", "c"}}, {Name: "nodes", Value: map[string]any{"min": 2, "token": "no"}},
		{Name: "size", Value: 4}, {Name: "password", Value: map[string]any{"env": "PW"}}, {Name: "new", Value: true}, {Name: "size2", Value: "a: b: c"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	for _, bad := range [][]string{{"host"}, {"=x"}, {"host=a", "host=b"}, {"size=1", "size.x=2"}} {
		if _, err := odd().read(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// shy is a driver whose targets are to be got to know.
type shy struct {
	target.Driver
	shows     []string
	confirmed *[]string
	away      error
}

func (s shy) Introduce(context.Context, target.Target) ([]target.Introduction, error) {
	var all []target.Introduction
	for _, mark := range s.shows {
		all = append(all, target.Introduction{Of: "h:22", What: "host key", Mark: mark, Advice: "ask"})
	}
	return all, s.away
}

func (s shy) Confirm(_ context.Context, _ target.Target, all []target.Introduction) error {
	for _, one := range all {
		*s.confirmed = append(*s.confirmed, one.Mark)
	}
	return nil
}

func TestOnlyWhatAPersonComparedIsTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		shows, trust    []string
		away            error
		left, confirmed []string
		code            int
	}{
		"nothing is shown":               {},
		"nothing is trusted":             {shows: []string{"SHA256:a"}, left: []string{"SHA256:a"}},
		"one of two":                     {shows: []string{"SHA256:a", "SHA256:b"}, trust: []string{"SHA256:a"}, left: []string{"SHA256:b"}},
		"all":                            {shows: []string{"SHA256:a", "SHA256:b"}, trust: []string{"SHA256:b", "SHA256:a"}, confirmed: []string{"SHA256:a", "SHA256:b"}},
		"another one than was compared":  {shows: []string{"SHA256:evil"}, trust: []string{"SHA256:a"}, code: exitNotAllowed},
		"it cannot be reached":           {away: errors.New("no route"), code: exitUnreachable},
		"it was confirmed in the past":   {trust: []string{"SHA256:a"}},
		"it is trusted twice by mistake": {shows: []string{"SHA256:a"}, trust: []string{"SHA256:a", "SHA256:a"}, confirmed: []string{"SHA256:a"}},
	} {
		t.Run(name, func(t *testing.T) {
			var confirmed, left []string
			rest, err := introduce(t.Context(), shy{dummy.New(), c.shows, &confirmed, c.away}, target.Target{Name: "gpu", Kind: "shy"}, c.trust)
			for _, one := range rest {
				left = append(left, one.Mark)
			}
			var e ended
			if errors.As(err, &e) != (c.code != 0) || e.code != c.code {
				t.Errorf("got %v, want exit code %d", err, c.code)
			}
			if d := cmp.Diff([][]string{c.left, c.confirmed}, [][]string{left, confirmed}); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhatIsLeftToConfirmIsShown(t *testing.T) {
	var out, words bytes.Buffer
	p := newProgram(nil, &out, &words)
	p.output = "table"
	left := []target.Introduction{{Of: "h:22", What: "host key", Mark: "SHA256:a", Advice: "compare it"}}
	one := addition{target: schema.Target{Name: "gpu", Kind: "shy"}, file: filepath.Join(t.TempDir(), "amlflow.yaml"), text: []byte("x"), fresh: true}
	if err := one.write(left); err != nil || exists(one.file) {
		t.Errorf("the file was written, or not even tried: %v", err)
	}
	err := p.sayAdded(one, left)
	want := "the host key of h:22 is\n  SHA256:a\n  compare it\nnothing was written; if that is right, repeat the command with --trust SHA256:a\n"
	var e ended
	if d := cmp.Diff(want, words.String()); d != "" || !errors.As(err, &e) || e.code != exitNotAllowed {
		t.Error(d, err)
	}
}
