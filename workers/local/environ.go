package local

import (
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/ranks"
)

// environ is all that rank n sees: built from nothing, in three layers, of
// which a later one wins; around them comes the Python environment.
func (f folder) environ(n int, r record) []string {
	env := hostPart(r.Job.Host)
	maps.Copy(env, f.contractPart(n, r))
	maps.Copy(env, r.visible(n))
	if r.Tracking != nil {
		maps.Copy(env, r.Tracking.Variables())
	}
	maps.Copy(env, r.Job.Env)
	if r.Tracking != nil {
		nearby(env)
	}
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

// contractPart is what every target sets.
func (f folder) contractPart(n int, r record) map[string]string {
	return ranks.Environ(r.Job, ranks.Place{Dir: f.rank(n), Inputs: f.path("in"), Rank: n, World: r.Job.Ranks(), Master: masterAddress, Port: r.Port})
}
