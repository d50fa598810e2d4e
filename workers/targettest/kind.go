package targettest

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

var kindQuestions = []question{
	{"KindIsComplete", kindIsComplete},
	{"SettingsAreDescribed", settingsAreDescribed},
	{"OptionalInterfacesMatchCan", optionalInterfacesMatchCan},
	{"CheckPasses", checkPasses},
	{"WhatNothingHoldsIsRefused", whatNothingHoldsIsRefused},
	{"MachinesAreTold", machinesAreTold},
}

// What no job can have there is found without one, and a job that asks for it is refused.
func whatNothingHoldsIsRefused(t *testing.T, h Harness) {
	f, ok := h.Driver.(target.Fitter)
	if !ok {
		t.Skip("SKIP: this driver is no target.Fitter: what a job cannot have is found when it is submitted")
	}
	if err := f.Fits(h.Target, target.Resources{Nodes: 1}); err != nil {
		t.Errorf("a job that asks for nothing: %v", err)
	}
	j := h.job("unheld", "echo ran")
	j.Needs = target.Resources{Nodes: 1, GPUs: 1 << 20}
	var misfit target.Misfit
	if err := f.Fits(h.Target, j.Needs); !errors.As(err, &misfit) || misfit.Path != "gpus" || misfit.What == "" || misfit.Cure == "" {
		t.Errorf("got %+v", err)
	}
	refused(t, h, j)
}

// What the machines have, and what holds jobs there, is told in words that people are shown.
func machinesAreTold(t *testing.T, h Harness) {
	s, ok := h.Driver.(target.Surveyor)
	if !ok {
		t.Skip("SKIP: this driver is no target.Surveyor: nobody is told what its machines have")
	}
	known := []target.Holder{target.ByNobody, target.ByGroup1, target.ByGroup2, target.ByWatch, target.BySlurm}
	for range 2 { // the first leaves nothing in the way of the second
		seen, err := s.Survey(t.Context(), h.Target)
		if err != nil || len(seen) == 0 {
			t.Fatalf("got %d machines, %v", len(seen), err)
		}
		for _, m := range seen {
			if m.Name == "" || m.Alike < 1 || m.CPUs <= 0 || m.Memory <= 0 || !slices.Contains(known, m.MemoryBy) || !slices.Contains(known, m.CPUsBy) {
				t.Errorf("got %+v", m)
			}
		}
	}
}

func kindIsComplete(t *testing.T, h Harness) {
	k := h.Driver.Kind()
	if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(k.Name) {
		t.Errorf("the kind is named %q", k.Name)
	}
	if k.Summary == "" || strings.Contains(k.Summary, "\n") {
		t.Errorf("the summary is %q, not one line", k.Summary)
	}
	if k.Name != h.Target.Kind {
		t.Errorf("the kind is %q, that of the target %q", k.Name, h.Target.Kind)
	}
}

// secretive are names of settings whose value would be a secret in itself.
var secretive = regexp.MustCompile(`(^|_)(password|passphrase|secret|token|access_key|api_key)$`)

func settingsAreDescribed(t *testing.T, h Harness) {
	text := h.Driver.Kind().Settings
	s, err := jsonschema.CompileString("settings.schema.json", string(text))
	if err != nil {
		t.Fatalf("the schema of the settings: %v", err)
	}
	var doc struct {
		AdditionalProperties any `json:"additionalProperties"`
		Properties           map[string]struct {
			Description string `json:"description"`
			Type        any    `json:"type"`
			WriteOnly   bool   `json:"writeOnly"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.AdditionalProperties != false {
		t.Error("the schema lets unknown settings pass")
	}
	for name, p := range doc.Properties {
		if p.Description == "" {
			t.Errorf("setting %q has no description", name)
		}
		if secretive.MatchString(name) && p.Type == "string" && !p.WriteOnly {
			t.Errorf("setting %q is shown to everybody: take a reference to the secret, or mark it as writeOnly", name)
		}
	}
	var settings any = map[string]any{}
	if len(h.Target.Settings) > 0 {
		if err := json.Unmarshal(h.Target.Settings, &settings); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Validate(settings); err != nil {
		t.Errorf("the settings of the target in the exam: %v", err)
	}
}

func optionalInterfacesMatchCan(t *testing.T, h Harness) {
	_, manages := h.Driver.(target.Manager)
	_, serves := h.Driver.(target.Server)
	can := h.Driver.Can(h.Target)
	_, routes := h.Driver.(target.Router)
	if can.Manage != manages || can.Serve && !serves || can.Route && (!routes || !can.Serve) {
		t.Errorf("Can says manage=%v serve=%v route=%v, the methods say %v, %v and %v", can.Manage, can.Serve, can.Route, manages, serves, routes)
	}
	if can.Nodes < 1 {
		t.Errorf("Can says %d nodes", can.Nodes)
	}
}

func checkPasses(t *testing.T, h Harness) {
	if err := h.Driver.Check(t.Context(), h.Target); err != nil {
		t.Errorf("got %v", err)
	}
}
