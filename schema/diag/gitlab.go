package diag

import "io"

// The shape of GitLab's code quality report, a part of Code Climate's
// (docs.gitlab.com/ci/testing/code_quality). GitLab reads no further than the
// first entry that lacks something.
type (
	gitlabIssue struct {
		Type        string         `json:"type"`
		Check       string         `json:"check_name"`
		Description string         `json:"description"`
		Categories  []string       `json:"categories"`
		Severity    string         `json:"severity"`
		Fingerprint string         `json:"fingerprint"`
		Location    gitlabLocation `json:"location"`
	}
	gitlabLocation struct {
		Path      string     `json:"path"`
		Lines     span[int]  `json:"lines"`
		Positions span[spot] `json:"positions"`
	}
	span[T any] struct {
		Begin T `json:"begin"`
		End   T `json:"end"`
	}
	spot struct {
		Line   int `json:"line"`
		Column int `json:"column"`
	}
)

// GitLab writes findings as a code quality report, which GitLab shows in merge
// requests. No findings are an empty list.
func GitLab(w io.Writer, r Report) error {
	prints := r.fingerprints()
	issues := []gitlabIssue{}
	for i, f := range r.Findings {
		issues = append(issues, gitlabIssue{
			Type: "issue", Check: string(f.Code), Description: f.told(": "), Categories: []string{"Bug Risk"},
			Severity: gitlabSeverity(f), Fingerprint: prints[i], Location: gitlabPlace(f),
		})
	}
	return indented(w, issues)
}

func gitlabSeverity(f Finding) string {
	if f.Severity == Warning {
		return "minor"
	}
	return "major"
}

// gitlabPlace is where a finding is. An issue must have a line, so an unknown one
// is the first; the end of a range is its last character.
func gitlabPlace(f Finding) gitlabLocation {
	begin := spot{Line: max(f.Line, 1), Column: max(f.Col, 1)}
	end := spot{Line: begin.Line, Column: max(f.end()-1, begin.Column)}
	return gitlabLocation{Path: slashed(f.File), Lines: span[int]{begin.Line, end.Line}, Positions: span[spot]{begin, end}}
}
