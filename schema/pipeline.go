package schema

import (
	"strings"
	"time"
)

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
	Concurrency *Concurrency // of runs as a whole
	Schedules   []Schedule

	Import Import // where the file came from; see Link

	scope   *scopeOnce      // see Scope
	alone   bool            // it stands for a template: its one stage sees params only
	later   map[string]bool // parameters that are known only during the run; see Later
	early   map[string]bool // parameters that decide something before the run; Check fills it in
	broken  bool            // reading found errors, so that what seems unused may not be
	sources []*Source       // see Sources
}

// Param is one typed parameter.
type Param struct {
	Name        string
	Path        string // JSON pointer of its declaration
	Type        Type   // String, Integer, Number, Boolean, List, File, Folder or Model
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

// Stage is one step of the pipeline. Exactly one of Run, Command, Batch, Deploy, Approve,
// Pipeline and Uses is set.
type Stage struct {
	Name string
	Path string // JSON pointer: "/stages/train"; see At for its keys

	Run      string
	Command  []string
	Batch    *Batch
	Deploy   *Deploy
	Approve  *Approve
	Pipeline string // path of another pipeline file
	Uses     string // reference of a template
	With     []Named

	Target      []string // in order of preference, "local" when nothing is said; each may hold expressions over params and matrix
	AnyOf       bool     // any of Target will do
	Prefer      string   // of any_of: "cheapest" or "first"
	Needs       []string
	If          string // "" or one ${{ expression }}
	Sweep       *Sweep // nil: it runs once
	Matrix      *Matrix
	Each        *Each
	Parallel    string // of Matrix and Each: a whole number, may be an expression over params; "" means no bound
	Until       *Until
	Concurrency *Concurrency
	Inputs      []Named
	Outputs     []Declared
	Metrics     []Declared
	Register    *Register // nil: nothing is said
	Env         []Named
	Secrets     []Named // variable and name of a secret
	Environment Environment
	Cache       *Cache // nil: nothing is said
	Code        string // folder relative to the file's own; "" means the pipeline's folder
	Resources   Resources
	Launch      *Launch // nil: one process on each node
	Timeout     time.Duration
	Queue       time.Duration // how long an attempt may wait for its place
	Priority    int           // 0 is normal; what Low and High are worth is said there
	Checkpoint  *Checkpoint   // nil: it has none
	Retry       Retry

	// Template and Nested are what Uses and Pipeline name, once they were found; see Link.
	Template *Template
	Nested   *Pipeline

	defaults map[string]bool // keys, as At takes them, that come from the pipeline's defaults
}

// Several reports whether the stage runs more than once, each time with something that
// its expressions see: a matrix, each, or a sweep.
func (s *Stage) Several() bool { return s.Matrix != nil || s.Each != nil || s.Sweep != nil }

// At is the JSON pointer of a key of the stage, "timeout" or "env/NAME": where it
// is written, which may be among the pipeline's defaults.
func (s *Stage) At(key string) string {
	whole, name, _ := strings.Cut(key, "/")
	if whole == "env" && name != "" {
		return pathOf(s.Env, name, s.Path+"/"+key)
	}
	if whole == "secrets" && name != "" {
		return pathOf(s.Secrets, name, s.Path+"/"+key)
	}
	if s.defaults[key] || s.defaults[whole] {
		return "/defaults/" + key
	}
	return s.Path + "/" + key
}

func pathOf(list []Named, name, otherwise string) string {
	for _, n := range list {
		if n.Name == name {
			return n.Path
		}
	}
	return otherwise
}

// Named is a name and the text that gives its value.
type Named struct {
	Name string
	Text string // may hold expressions; numbers and booleans as written
	Path string // JSON pointer of the value
	List []any  // the value, when it is a list that holds no expression
}

// Declared is a name and the type of what is to come.
type Declared struct {
	Name string
	Type Type
}

// Register says which outputs the registry of models keeps.
type Register struct {
	None  bool    // none at all
	Names []Named // of models, by output
}

// Matrix is what a stage is multiplied by.
type Matrix struct {
	Axes    []Axis
	Include []map[string]any
	Exclude []map[string]any
}

// Axis is one name of a matrix: its values, or the expression that gives them.
type Axis struct {
	Name   string
	Path   string // JSON pointer
	Values []any
	Text   string // "" when Values are written out
}

// Each is the list that a stage runs over.
type Each struct {
	Text string // an expression; "" when Items are written out
	List []any
}

// Until says how often a stage runs, and what for.
type Until struct {
	When     string // one ${{ expression }} over outputs, metrics and attempt
	Attempts int
	Every    time.Duration
}

// Approve waits for a person.
type Approve struct {
	By      []string // names of users and groups; empty: anyone
	Message string   // may hold expressions
	Timeout time.Duration
}

// Concurrency bounds how many of a group run at once.
type Concurrency struct {
	Group string // may hold expressions over params and matrix
	Limit int
	Path  string // JSON pointer of the group's name
}

// Environment is the software that a stage asks for. At most one is set.
type Environment struct {
	Python *Python
	Image  string // may hold expressions over params and matrix
}

// Python is a virtual environment.
type Python struct {
	Version      string // "3.11"; "" means the target's python3
	Requirements string // file in the code folder
	Packages     []string
}

// Cache says whether results of earlier runs may be used.
type Cache struct {
	Use    bool
	MaxAge time.Duration // 0: any age
}

// Resources are texts, since each may be an expression over params.
// Empty means that nothing was said.
type Resources struct {
	CPUs   string // a number of cores: "2", "0.5"
	GPUs   string // a whole number
	Memory string // bytes, or with Ki Mi Gi Ti K M G T: "512Mi"
	Nodes  string // a whole number of machines
}

// Launch says how the processes of a stage begin.
type Launch struct {
	Kind      string // env, torchrun, tf or mpi
	Processes string // on each node: a whole number, may be an expression over params; "" means 1
}

// Retry says what to do when an attempt does not succeed.
type Retry struct {
	Attempts int // in all; at least 1
	Backoff  time.Duration
	On       []string // causes: lost, preempted, capacity, oom, timeout, signal, start, exit, "exit 75"; empty: any but cancelled
	// Budgets are the attempts that a cause is worth, beside Attempts and On.
	Budgets map[string]int
	// Grow is how many times as much memory is asked for after running out of it; 0: as much.
	Grow float64
}

// Checkpoint says where a stage leaves what it can go on from.
type Checkpoint struct {
	Folder string // in the folder that the stage runs in
	Keep   int    // at least 1
}

// Batch scores items in mini-batches.
type Batch struct {
	Over      string // text of an expression
	Score     string // Python file in the code folder
	Items     string // files, lines, csv or jsonl; "" means by what Over is
	Size      string // "100 files", "64Mi", may be an expression over params; "" means the default
	Model     string // text of an expression, or a model of the registry
	Append    string // the name of the file of results
	Parallel  string // a whole number, may be an expression over params; "" means 1
	Processes string // on each node, like Parallel; "" means as Parallel needs
	Threshold string // a whole number, may be an expression over params
	Retries   int
	Timeout   time.Duration
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
	Mirror    *Mirror
	Canary    []CanaryStep
	Rollback  *Rollback
	Sticky    string // request header; "" means none
	Auth      string // "" or "key"
	Autoscale *Autoscale
	Limits    *Limits
	Batching  *Batching
	Bytes     bool // run(data) is called with the bytes of requests
}
