package diag

import (
	"fmt"
	"strings"
	"time"
)

// Case is one thing that was tried, and what was found. It failed when a finding is an
// error.
type Case struct {
	Pos             // where it is written
	Group    string // of cases in one file
	Name     string
	Took     time.Duration
	Findings Findings
}

// caseSuites are cases as JUnit has them: a suite for each file, with the time that
// each case took.
func (r Report) caseSuites() []junitSuite {
	var suites []junitSuite
	var took time.Duration
	for _, c := range r.Cases {
		if n := len(suites); n == 0 || suites[n-1].Name != slashed(c.File) {
			suites, took = append(suites, junitSuite{Name: slashed(c.File)}), 0
		}
		s := &suites[len(suites)-1]
		one := c.junit()
		if one.Failure != nil {
			s.Failures++
		}
		s.Cases, s.Tests, took = append(s.Cases, one), s.Tests+1, took+c.Took
		s.Time = seconds(took)
	}
	return suites
}

func (c Case) junit() junitCase {
	one := junitCase{Class: c.Group, Name: c.Name, File: slashed(c.File), Line: c.Line, Time: seconds(c.Took)}
	var bad Findings
	for _, f := range c.Findings {
		if f.Severity == Error {
			bad = append(bad, f)
		}
	}
	switch {
	case len(bad) > 0:
		one.Failure = &junitFailure{Message: bad[0].Message, Type: string(bad[0].Code), Text: c.Findings.Error()}
	case len(c.Findings) > 0:
		one.Out = c.Findings.Error()
	}
	return one
}

func seconds(d time.Duration) string {
	return strings.TrimSuffix(fmt.Sprintf("%.3f", d.Seconds()), ".000")
}
