package schema

import (
	"fmt"

	"github.com/amlflow/amlflow/schema/diag"
)

// maxFindings is how many findings of one kind of look at a file are said: those who
// get more begin with these all the same, and each is shown with its line.
const maxFindings = 500

// enough sorts the findings of one file and keeps the first of them, errors before
// advice. The last says how many were left out.
func enough(all diag.Findings) diag.Findings {
	if all = all.Sort(); len(all) <= maxFindings {
		return all
	}
	errors := 0
	for _, f := range all {
		if f.Severity == diag.Error {
			errors++
		}
	}
	advice, kept := max(maxFindings-errors, 0), all[:0:0]
	room := map[diag.Severity]int{diag.Error: maxFindings, diag.Warning: advice}
	var last diag.Finding
	for _, f := range all {
		if room[f.Severity]--; room[f.Severity] >= 0 {
			kept = append(kept, f)
		} else if last.Code == "" || f.Severity == diag.Error && last.Severity != diag.Error {
			last = f
		}
	}
	return append(kept, diag.Finding{Pos: last.Pos, Width: last.Width, Severity: last.Severity, Code: "too-large",
		Message: fmt.Sprintf("%d more were found from here on, and are not shown", len(all)-len(kept)), Hint: "correct those before it first", Path: last.Path})
}
