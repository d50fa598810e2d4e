package schema

import "encoding/json"

// Workspace is an amlflow.yaml as it was written: the places that pipelines may
// name, and how to reach the engine.
type Workspace struct {
	Source   *Source // nil for the workspace that exists when there is no file
	Dir      string  // the folder that holds the file, or the pipeline's own
	Name     string
	Targets  []Target
	Profiles []Profile
	Secrets  []Secret
	Groups   map[string][]string // of people, by name
	Store    string              // folder, relative to Dir; "" means the user's state folder
	Engine   Engine
}

// Target is a named place. Settings is what the file says besides
// kind and cost, as JSON.
type Target struct {
	Name     string
	Path     string // JSON pointer
	Kind     string
	Cost     float64 // of a node for an hour, in any currency
	Settings json.RawMessage
}

// Secret says where one secret is kept. Exactly one of Env, File and Store is set.
type Secret struct {
	Name  string
	Path  string // JSON pointer
	Env   string // environment variable of the command that starts a run
	File  string // relative to the workspace, or with ~/
	Store bool   // in the encrypted file beside the workspace's
}

// Profile binds names of targets to other targets, and changes params' defaults.
type Profile struct {
	Name    string
	Path    string
	Targets map[string]string
	Params  map[string]any
}

// Engine says which Temporal to use; an empty Address means the embedded one.
type Engine struct {
	Address   string
	Namespace string
	TLS       *TLS
	APIKeyEnv string // the environment variable that holds the API key
}

// TLS holds paths of PEM files, relative to the workspace.
type TLS struct {
	CA, Cert, Key, ServerName string
}
