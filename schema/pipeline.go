package schema

import "time"

// Pipeline is a pipeline file as it was written: typed and well formed, with its
// expressions still text. Maps of the file are lists here, in the file's order.
type Pipeline struct {
	Source      *Source
	Name        string
	Description string
	Params      []Param
	Stages      []Stage
	Finally     []Stage // run whatever happened to Stages
	Outputs     []Named

	scope  *scopeOnce // see Scope
	broken bool       // reading found errors, so that what seems unused may not be
}

// Param is one typed parameter.
type Param struct {
	Name        string
	Path        string // JSON pointer of its declaration
	Type        Type   // String, Integer, Number, Boolean or List
	Default     any    // nil: must be given
	Description string
	Minimum     *float64
	Maximum     *float64
	Pattern     string // regular expression that the whole text must match
	Enum        []any  // the only values allowed; empty: any
}

// Type names what a value is, as it is written in the file.
type Type string

// The types of params, inputs, outputs and metrics.
const (
	String  Type = "string"
	Integer Type = "integer"
	Number  Type = "number"
	Boolean Type = "boolean"
	List    Type = "list"
	File    Type = "file"
	Folder  Type = "folder"
	Model   Type = "model"
)

// IsArtifact reports whether t names content rather than a value.
func (t Type) IsArtifact() bool { return t == File || t == Folder || t == Model }

// Stage is one step of the pipeline. Exactly one of Run, Command and Deploy is set.
type Stage struct {
	Name string
	Path string // JSON pointer: "/stages/train"; a key of the stage is at Path + "/" + key

	Run     string
	Command []string
	Deploy  *Deploy

	Target    []string // in order of preference, "local" when the file says none; each may hold expressions over params
	Needs     []string
	If        string // "" or one ${{ expression }}
	Inputs    []Named
	Outputs   []Declared
	Metrics   []Declared
	Env       []Named
	Code      string // folder relative to the pipeline's own; "" means that folder itself
	Resources Resources
	Timeout   time.Duration
	Retry     Retry
}

// Named is a name and the text that gives its value.
type Named struct {
	Name string
	Text string // may hold expressions; numbers and booleans as written
}

// Declared is a name and the type of what is to come.
type Declared struct {
	Name string
	Type Type
}

// Resources are texts, since each may be an expression over params.
// Empty means that nothing was said.
type Resources struct {
	CPUs   string // a number of cores: "2", "0.5"
	Memory string // bytes, or with Ki Mi Gi Ti K M G T: "512Mi"
	Nodes  string // a whole number of machines
}

// Retry says what to do when an attempt does not succeed.
type Retry struct {
	Attempts int // in all; at least 1
	Backoff  time.Duration
	On       []string // causes: lost, oom, timeout, signal, start, exit, "exit 75"; empty: any but cancelled
}

// Deploy puts a model behind an endpoint.
type Deploy struct {
	Endpoint  string // may hold expressions over params
	Model     string // text of an expression, or empty
	Score     string // Python file in the code folder; or
	Run       string // a script that serves on $PORT
	Sample    string // JSON file in the code folder with a request
	Answer    string // JSON file with the answer it must get; "" means any
	Instances string // a whole number, may be an expression over params; "" means 1
	Health    string // path that answers 200 when ready; "" means /health
	Path      string // path that the sample is sent to; "" means /score
	Ready     time.Duration
}
