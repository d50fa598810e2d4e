package docker

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

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

// environ is what the job sees on top of the variables of its image. The names from
// RANK on are those of torchrun.
func (s *submission) environ() map[string]string {
	env := map[string]string{
		"AMLFLOW_JOB":     s.job.ID,
		"AMLFLOW_OUTPUTS": valuesFile,
		"AMLFLOW_METRICS": metricsFile,
		"HOME":            homeDir,
		"TMPDIR":          tmpDir,
		"PWD":             codeDir,
		// Python keeps its output back when it goes to a file, and a log that can be
		// followed is worth more than the speed.
		"PYTHONUNBUFFERED": "1",

		"RANK":        "0",
		"LOCAL_RANK":  "0",
		"NODE_RANK":   "0",
		"WORLD_SIZE":  "1",
		"MASTER_ADDR": "127.0.0.1",
		"MASTER_PORT": "29500",
	}
	if s.s.Network == "host" { // where others may use it
		env["MASTER_PORT"] = strconv.Itoa(20_000 + rand.IntN(12_000))
	}
	for _, a := range s.job.Inputs {
		env[target.EnvName("AMLFLOW_INPUT_", a.Name)] = inDir + "/" + a.Name
	}
	for _, a := range s.job.Outputs {
		env[target.EnvName("AMLFLOW_OUTPUT_", a.Name)] = outDir + "/" + a.Name
	}
	maps.Copy(env, s.job.Env)
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
