package docker

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkVariables refuses what no process can be given.
func checkVariables(j target.Job) error {
	for _, vars := range []map[string]string{j.Env, j.Secrets} {
		for name, value := range vars {
			if !variableName.MatchString(name) {
				return fmt.Errorf("%q cannot name an environment variable: use letters, digits and _, and no digit first", name)
			}
			if strings.IndexByte(value, 0) >= 0 {
				return fmt.Errorf("the value of %q holds a NUL byte, which no environment variable can", name)
			}
		}
	}
	for _, word := range j.Command {
		if strings.IndexByte(word, 0) >= 0 {
			return fmt.Errorf("%.40q holds a NUL byte, which no command can", word)
		}
	}
	return nil
}

// environ is what rank n sees on top of the variables of the image.
func (s *submission) environ(n int) map[string]string {
	env := ranks.Environ(s.job, ranks.Place{Dir: rankDir(n), Inputs: inDir, Rank: n, World: s.job.Ranks(), Master: masterAddress, Port: s.port})
	// A folder of its own is read as an archive, in which a link shows as one.
	env["AMLFLOW_OUTPUTS"], env["AMLFLOW_METRICS"] = ofRank(n, valuesFile), ofRank(n, metricsFile)
	env["HOME"] = homeDir
	maps.Copy(env, s.job.Env)
	if s.path != "" {
		env["PATH"] = cmp.Or(env["PATH"], s.path)
		pyenv.Activate(env, venvDir)
	}
	s.tracks(env)
	return env
}

// variables lists env as NAME=value, in the order of the names.
func variables(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
