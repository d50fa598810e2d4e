package schema

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/schema/diag"
)

// Test is a test file as it was written: runs of a pipeline with made-up results of
// its stages, and what is expected of them.
type Test struct {
	Source      *Source
	Name        string
	Description string
	Pipeline    string         // path of the pipeline, from the test's folder
	Params      map[string]any // of every case
	Profile     string
	Stages      []Mock // of every case
	Cases       []Case
}

// Case is one run, and what is expected of it. See Params, Profile and Mocks of Test for
// what the file says of every case.
type Case struct {
	Name        string
	Path        string // JSON pointer
	Description string
	Params      map[string]any
	Profile     string
	Down        []string       // targets that cannot be used
	Cancel      *time.Duration // nil: it is not cancelled
	Stages      []Mock
	Expect      Expect
}

// Mock is what comes of a stage, or of one of its items: of every attempt the same, or
// of each its own; for a stage that waits, what a person says.
type Mock struct {
	Stage    string // "a/b" for stage b of the pipeline that a runs; empty for an item
	Path     string // JSON pointer
	Result   Result
	Attempts []Result
	Items    []Mock
	Decision *Decision
}

// Result is what comes of one attempt. At most one of Exit, Signal and Fails is set;
// without them it succeeds.
type Result struct {
	Path    string
	Outputs map[string]any
	Metrics map[string]any
	Exit    int
	Signal  int
	Fails   string // a cause: lost, oom, timeout, start, sample or output
	Takes   time.Duration
	// Measured is what an endpoint measures of what is deployed: in each step and in the
	// watch, the last of them in all that follow. Empty: all is well.
	Measured []map[string]any
}

// Failing reports whether the attempt does not succeed.
func (r Result) Failing() bool { return r.Exit != 0 || r.Signal != 0 || r.Fails != "" }

// Decision is what a person says. With Nobody no one says anything.
type Decision struct {
	Approve string // who approves, or
	Reject  string // who rejects
	Nobody  bool
	After   time.Duration
	Comment string
}

// Expect is what must come of a run. What is not said may be anything.
type Expect struct {
	Path     string // JSON pointer
	Status   string
	Ran      *Names // in the file: path
	Skipped  *Names
	Stages   []ExpectedStage
	Outputs  []ExpectedValue
	Took     *time.Duration
	Findings []ExpectedFinding
}

// Names is a list of stages that was written, perhaps with none in it.
type Names struct {
	List []string
	Path string // JSON pointer
}

// ExpectedStage is what must become of one stage. Zero is what was not said.
type ExpectedStage struct {
	Name     string
	Path     string // JSON pointer
	Status   string
	Attempts *int
	Target   string
	Cause    string
	Exit     *int
	Why      string
	Env      []ExpectedValue
	Inputs   []ExpectedValue
	Command  []string // nil: anything
	Model    string
	Outputs  []ExpectedValue
	Metrics  []ExpectedValue
}

// ExpectedValue is a name and the value that it must have; nil is none.
type ExpectedValue struct {
	Name  string
	Value any
	Path  string // JSON pointer
}

// ExpectedFinding is a mistake that must be found. Zero is what was not said.
type ExpectedFinding struct {
	Path    string // JSON pointer
	Code    string
	Line    int
	File    string
	Param   string
	Message string
}

// ReadTest reads a test file; see ReadPipeline.
func ReadTest(name string, data []byte) (*Test, diag.Findings) {
	s, fs := Read(name, data)
	fs = append(fs, s.checkShape("test", testForm())...)
	t := &Test{Source: s, Name: s.text("/test"), Description: s.text("/description"), Pipeline: s.text("/pipeline"), Profile: s.text("/profile")}
	t.Params = s.values("/params")
	t.Stages = s.mocks("/stages")
	for _, key := range s.Keys("/cases") {
		t.Cases = append(t.Cases, s.testCase(join("/cases", key), key))
	}
	if !fs.Bad() {
		fs = append(fs, t.check()...)
	}
	return t, fs.Sort()
}

// Pointer is the JSON pointer of what lies below path.
func Pointer(path string, steps ...string) string { return join(path, steps...) }

func (s *Source) testCase(path, name string) Case {
	c := Case{Name: name, Path: path, Description: s.text(path + "/description"), Profile: s.text(path + "/profile"), Down: s.list(path + "/down"), Cancel: s.span(path + "/cancel")}
	c.Params = s.values(path + "/params")
	c.Stages = s.mocks(path + "/stages")
	c.Expect = s.expect(path + "/expect")
	return c
}

// Given are the parameters of a case, and where each is written.
func (t *Test) Given(c *Case) (params map[string]any, at map[string]string) {
	params, at = maps.Clone(t.Params), map[string]string{}
	for name := range t.Params {
		at[name] = join("/params", name)
	}
	for name, v := range c.Params {
		params[name], at[name] = v, join(c.Path+"/params", name)
	}
	return params, at
}

// ProfileOf is the profile of a case, and where it is written.
func (t *Test) ProfileOf(c *Case) (name, at string) {
	if c.Profile != "" {
		return c.Profile, c.Path + "/profile"
	}
	return t.Profile, "/profile"
}

// Mocks are the results of a case: its own, and those of every case for stages of which
// it says nothing, neither as a whole nor in part.
func (t *Test) Mocks(c *Case) []Mock {
	own := map[string]bool{} // its stages, and what lies around them
	whole := map[string]bool{}
	for _, m := range c.Stages {
		whole[m.Stage] = true
		for name := range around(m.Stage) {
			own[name] = true
		}
	}
	all := slices.DeleteFunc(slices.Clone(t.Stages), func(m Mock) bool {
		for name := range around(m.Stage) {
			if whole[name] {
				return true
			}
		}
		return own[m.Stage]
	})
	return append(all, c.Stages...)
}

// longestPath is longer than any path of a stage can be.
const longestPath = (MaxNested + 1) * 64

// around gives a stage "a/b/c", and "a/b" and "a" around it.
func around(stage string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(stage) > longestPath {
			yield(stage)
			return
		}
		for at := len(stage); at >= 0; at = strings.LastIndexByte(stage[:at], '/') {
			if !yield(stage[:at]) {
				return
			}
		}
	}
}

// values reads a map of anything.
func (s *Source) values(path string) map[string]any {
	values := map[string]any{}
	for _, v := range s.expectedValues(path) {
		values[v.Name] = v.Value
	}
	return values
}

func (s *Source) span(path string) *time.Duration {
	d, err := ParseDuration(s.text(path))
	if err != nil {
		return nil // it was not said, or the shape refuses it
	}
	return &d
}

func (s *Source) mocks(path string) []Mock {
	var list []Mock
	for _, key := range s.Keys(path) {
		list = append(list, s.mock(join(path, key), key))
	}
	return list
}

func (s *Source) mock(path, stage string) Mock {
	m := Mock{Stage: stage, Path: path, Result: s.result(path), Decision: s.decision(path)}
	for i := range s.count(path + "/attempts") {
		m.Attempts = append(m.Attempts, s.result(path+"/attempts/"+strconv.Itoa(i)))
	}
	for i := range s.count(path + "/items") {
		m.Items = append(m.Items, s.mock(path+"/items/"+strconv.Itoa(i), ""))
	}
	return m
}

func (s *Source) count(path string) int {
	v, _ := s.Value(path)
	return len(asList(v))
}

func (s *Source) result(path string) Result {
	r := Result{Path: path, Exit: s.integer(path+"/exit", 0), Signal: s.integer(path+"/signal", 0), Fails: s.text(path + "/fails"), Takes: s.duration(path + "/takes")}
	r.Outputs, r.Metrics = s.values(path+"/outputs"), s.values(path+"/metrics")
	switch v, _ := s.Value(path + "/endpoint"); v := v.(type) {
	case map[string]any:
		r.Measured = []map[string]any{v}
	case []any:
		for _, one := range v {
			r.Measured = append(r.Measured, asMap(one))
		}
	}
	return r
}

func (s *Source) decision(path string) *Decision {
	d := Decision{Approve: s.text(path + "/approve"), Reject: s.text(path + "/reject"), Nobody: s.said(path + "/nobody"), After: s.duration(path + "/after"), Comment: s.text(path + "/comment")}
	if d.Approve == "" && d.Reject == "" && !d.Nobody {
		return nil
	}
	return &d
}

func (s *Source) expect(path string) Expect {
	e := Expect{Path: path, Status: s.text(path + "/status"), Ran: s.names(path + "/path"), Skipped: s.names(path + "/skipped"), Took: s.span(path + "/took")}
	for _, key := range s.Keys(path + "/stages") {
		e.Stages = append(e.Stages, s.expectedStage(join(path+"/stages", key), key))
	}
	e.Outputs = s.expectedValues(path + "/outputs")
	for i := range s.count(path + "/findings") {
		at := path + "/findings/" + strconv.Itoa(i)
		e.Findings = append(e.Findings, ExpectedFinding{Path: at, Code: s.text(at + "/code"), Line: s.integer(at+"/line", 0), File: s.text(at + "/file"), Param: s.text(at + "/param"), Message: s.text(at + "/message")})
	}
	return e
}

func (s *Source) names(path string) *Names {
	if !s.said(path) {
		return nil
	}
	return &Names{List: s.list(path), Path: path}
}

func (s *Source) expectedStage(path, name string) ExpectedStage {
	e := ExpectedStage{Name: name, Path: path, Status: s.text(path + "/status"), Attempts: s.optional(path + "/attempts"), Target: s.text(path + "/target"), Cause: s.text(path + "/cause"), Exit: s.optional(path + "/exit"),
		Why: s.text(path + "/why"), Command: s.list(path + "/command"), Model: s.text(path + "/model")}
	e.Env, e.Inputs = s.expectedValues(path+"/env"), s.expectedValues(path+"/inputs")
	e.Outputs, e.Metrics = s.expectedValues(path+"/outputs"), s.expectedValues(path+"/metrics")
	return e
}

func (s *Source) optional(path string) *int {
	if v, ok := s.Value(path); ok {
		if n, isInt := v.(int); isInt {
			return &n
		}
	}
	return nil
}

func (s *Source) expectedValues(path string) []ExpectedValue {
	var list []ExpectedValue
	for _, key := range s.Keys(path) {
		if v, ok := s.Value(join(path, key)); ok && v != refused {
			list = append(list, ExpectedValue{Name: key, Value: v, Path: join(path, key)})
		}
	}
	return list
}
