package diag

import (
	"encoding/xml"
	"fmt"
	"io"
)

// The shape of JUnit's XML, in the form that Jenkins, GitLab and Azure read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr,omitempty"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitFailure `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes findings as the results of tests. Each file is a suite and each
// finding a case of it: an error is one that failed, a warning one that passed and
// had something to say. A file without findings is one case that passed, so that
// the list shows that it was checked.
func JUnit(w io.Writer, r Report) error {
	all := junitSuites{Name: r.Tool}
	for _, file := range r.files() {
		s := r.junitSuite(file)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Suites = append(all.Suites, s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

func (r Report) junitSuite(file string) junitSuite {
	s := junitSuite{Name: slashed(file)}
	if file == "" {
		s.Name = "no file"
	}
	seen := map[string]int{}
	for _, f := range r.in(file) {
		c := junitOf(f, s.Name)
		if seen[c.Name]++; seen[c.Name] > 1 { // cases of one name would count as one
			c.Name += fmt.Sprintf(" (%d)", seen[c.Name])
		}
		if c.Failure != nil {
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	if len(s.Cases) == 0 {
		s.Cases = []junitCase{{Class: s.Name, Name: "no findings", File: slashed(file)}}
	}
	s.Tests = len(s.Cases)
	return s
}

func junitOf(f Finding, class string) junitCase {
	c := junitCase{Class: class, Name: fmt.Sprintf("%s at %d:%d", f.Code, f.Line, f.Col), File: slashed(f.File), Line: f.Line}
	if f.Severity == Warning {
		c.Out = f.Error()
		return c
	}
	c.Failure = &junitFailure{Message: f.Message, Type: string(f.Code), Text: f.Error()}
	return c
}
