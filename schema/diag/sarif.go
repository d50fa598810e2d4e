package diag

import (
	"encoding/json"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
)

// sarifSchema is where the standard's own schema lies.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// sourceRoot stands for the folder that relative names begin at.
const sourceRoot = "%SRCROOT%"

// The part of SARIF 2.1.0 that findings need
// (docs.oasis-open.org/sarif/sarif/v2.1.0).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		ColumnKind string               `json:"columnKind"`
		Bases      map[string]sarifBase `json:"originalUriBaseIds"`
		Artifacts  []sarifArtifact      `json:"artifacts"`
		Results    []sarifResult        `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		Full    sarifText `json:"fullDescription"`
		Help    sarifText `json:"help"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifBase struct {
		Description sarifText `json:"description"`
	}
	sarifArtifact struct {
		Location sarifURI `json:"location"`
		Roles    []string `json:"roles"`
	}
	sarifURI struct {
		URI   string `json:"uri"`
		Base  string `json:"uriBaseId,omitempty"`
		Index int    `json:"index"`
	}
	sarifResult struct {
		Rule         string            `json:"ruleId"`
		Index        int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact sarifURI    `json:"artifactLocation"`
			Region   sarifRegion `json:"region"`
		} `json:"physicalLocation"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
)

// SARIF writes findings as a log of SARIF 2.1.0, the form that code scanning and
// editors read. The files' names should be relative to the root of the repository.
//
// Braces in a message stay single. The standard doubles them where a message has
// arguments to be put in their place; none here has any, and doubled ones would turn
// an expression that is quoted as a cure into another.
func SARIF(w io.Writer, r Report) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Artifacts: []sarifArtifact{}, Results: []sarifResult{}}
	run.Bases = map[string]sarifBase{sourceRoot: {Description: sarifText{Text: "The root of the repository."}}}
	run.Tool.Driver = sarifDriver{Name: r.Tool, Version: r.Version, Rules: r.sarifRules()}
	uris := r.sarifFiles()
	for _, file := range r.files() {
		if u, ok := uris[file]; ok {
			run.Artifacts = append(run.Artifacts, sarifArtifact{Location: u, Roles: []string{"analysisTarget"}})
		}
	}
	prints := r.fingerprints()
	for i, f := range r.Findings {
		run.Results = append(run.Results, sarifResult{
			Rule: string(f.Code), Index: slices.IndexFunc(run.Tool.Driver.Rules, func(rule sarifRule) bool { return rule.ID == string(f.Code) }),
			Level: level(f), Message: sarifText{Text: f.told(": ")}, Locations: sarifPlace(f, uris),
			Fingerprints: map[string]string{"finding/v1": prints[i]},
		})
	}
	return indented(w, sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifRules describes each code that occurs, in order.
func (r Report) sarifRules() []sarifRule {
	rules := []sarifRule{}
	for _, f := range r.Findings {
		if slices.ContainsFunc(rules, func(rule sarifRule) bool { return rule.ID == string(f.Code) }) {
			continue
		}
		rule := sarifRule{ID: string(f.Code), Short: sarifText{Text: strings.ReplaceAll(string(f.Code), "-", " ")}}
		rule.Default.Level = level(f)
		rule.Full, rule.Help = rule.Short, rule.Short
		if page, ok := r.page(f.Code); ok {
			rule.Full, rule.Help = sarifText{Text: firstParagraph(page)}, sarifText{Text: page, Markdown: page}
		}
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, func(a, b sarifRule) int { return strings.Compare(a.ID, b.ID) })
	return rules
}

func (r Report) page(code Code) (string, bool) {
	if r.Explain == nil {
		return "", false
	}
	return r.Explain(string(code))
}

// firstParagraph is the first text of a page below its heading.
func firstParagraph(page string) string {
	for part := range strings.SplitSeq(page, "\n\n") {
		if part = strings.TrimSpace(part); part != "" && !strings.HasPrefix(part, "#") {
			return strings.ReplaceAll(part, "\n", " ")
		}
	}
	return strings.TrimSpace(page)
}

// sarifFiles gives each file its URI and its number in the list of artifacts.
func (r Report) sarifFiles() map[string]sarifURI {
	uris := map[string]sarifURI{}
	for _, file := range r.files() {
		if file == "" {
			continue
		}
		u := sarifURI{URI: (&url.URL{Path: slashed(file)}).String(), Base: sourceRoot, Index: len(uris)}
		if path.IsAbs(slashed(file)) {
			u.URI, u.Base = (&url.URL{Scheme: "file", Path: slashed(file)}).String(), ""
		}
		uris[file] = u
	}
	return uris
}

// sarifPlace is where a finding is. Code scanning wants a line, so an unknown one is
// the first; without an end the rest of the line is meant.
func sarifPlace(f Finding, uris map[string]sarifURI) []sarifLocation {
	u, ok := uris[f.File]
	if !ok {
		return []sarifLocation{}
	}
	var l sarifLocation
	l.Physical.Artifact = u
	l.Physical.Region = sarifRegion{StartLine: max(f.Line, 1), StartColumn: max(f.Col, 0), EndColumn: f.end()}
	return []sarifLocation{l}
}

// indented writes one value of JSON for machines, and for those who look at it.
func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
