package local

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/target"
)

// environ is all that rank n sees: built from nothing, in three layers, of
// which a later one wins; around them comes the Python environment.
func (f folder) environ(n int, r record) []string {
	env := hostPart(r.Job.Host)
	maps.Copy(env, f.contractPart(n, r))
	maps.Copy(env, r.Job.Env)
	if r.Venv != "" {
		pyenv.Activate(env, r.Venv)
	}
	return variables(env)
}

// variables lists env as NAME=value, in the order of the names.
func variables(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// hostNames are the variables of the submitting shell that a job starts from:
// where programs are, who runs them, and how they speak.
var hostNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}

func hostPart(host map[string]string) map[string]string {
	env := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"}
	for name, value := range host {
		if slices.Contains(hostNames, name) || strings.HasPrefix(name, "LC_") {
			env[name] = value
		}
	}
	return env
}

// contractPart is what every target sets. The names from RANK on are those of
// torchrun, which most libraries for distributed training understand.
func (f folder) contractPart(n int, r record) map[string]string {
	dir := f.rank(n)
	env := map[string]string{
		"AMLFLOW_JOB":     r.Job.ID,
		"AMLFLOW_OUTPUTS": filepath.Join(dir, valuesFile),
		"AMLFLOW_METRICS": filepath.Join(dir, metricsFile),
		"TMPDIR":          filepath.Join(dir, "tmp"),
		"PWD":             filepath.Join(dir, "code"),
		// Python keeps its output back when it goes to a file, and a log that can
		// be followed is worth more than the speed.
		"PYTHONUNBUFFERED": "1",

		"RANK":        strconv.Itoa(n),
		"LOCAL_RANK":  "0",
		"NODE_RANK":   strconv.Itoa(n),
		"WORLD_SIZE":  strconv.Itoa(r.Needs.Nodes),
		"MASTER_ADDR": "127.0.0.1",
		"MASTER_PORT": strconv.Itoa(r.Port),
	}
	if c := r.Job.Checkpoint; c != nil {
		env["AMLFLOW_CHECKPOINT"] = f.checkpoints(n, c)
	}
	for _, a := range r.Job.Inputs {
		env[target.EnvName("AMLFLOW_INPUT_", a.Name)] = f.path("in", a.Name)
	}
	for _, a := range r.Job.Outputs {
		env[target.EnvName("AMLFLOW_OUTPUT_", a.Name)] = filepath.Join(dir, "out", a.Name)
	}
	return env
}
