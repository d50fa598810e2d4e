package tracking

import (
	_ "embed"
	"net/url"
	"path"

	"github.com/amlflow/amlflow/workers/target"
)

// StoreDir is the folder in that of a job on another machine where the client of MLflow keeps
// what the job logs: it needs nobody to answer, so that a job goes on while nothing of amlflow
// can reach it. KeepStore reads it.
const StoreDir = "tracked"

// PluginDir holds what the client finds by itself; see client.py.
const PluginDir = "tracking"

//go:embed client.py
var plugin string

// uriVariable says where the client of MLflow logs to.
const uriVariable = "MLFLOW_TRACKING_URI"

// Free reports whether a stage does not say itself where it logs to.
func Free(job target.Job) bool { return job.Env[uriVariable] == "" && job.Secrets[uriVariable] == "" }

// StoreFiles are what a job's folder on another machine has for the client, by their paths.
func StoreFiles() map[string]string {
	info := path.Join(PluginDir, "amlflow_tracking-1.dist-info")
	return map[string]string{
		path.Join(PluginDir, "amlflow_tracking.py"): plugin,
		path.Join(info, "METADATA"):                 "Metadata-Version: 2.1\nName: amlflow-tracking\nVersion: 1\n",
		path.Join(info, "entry_points.txt"):         "[mlflow.tracking_store]\nfile = amlflow_tracking:store\n\n[mlflow.model_registry_store]\nfile = amlflow_tracking:registry\n",
	}
}

// StoreEnviron adds the variables by which the client finds the folders of a job in dir to
// its environment. The client of today wants to be told that files are meant.
func StoreEnviron(env map[string]string, dir string) {
	env[uriVariable] = (&url.URL{Scheme: "file", Path: path.Join(dir, StoreDir)}).String()
	env["MLFLOW_ALLOW_FILE_STORE"] = "true"
	before := path.Join(dir, PluginDir)
	if theirs := env["PYTHONPATH"]; theirs != "" {
		before += ":" + theirs
	}
	env["PYTHONPATH"] = before
}
