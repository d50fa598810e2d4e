package ranks

import (
	"fmt"
	"maps"
	"path"

	"github.com/amlflow/amlflow/workers/target"
)

// The files in a rank's folder that a job reports to.
const (
	ValuesFile  = "outputs.json"
	MetricsFile = "metrics.jsonl"
)

// The most bytes that are read of them: more belongs into an artifact.
const (
	MaxValues  = 1 << 20
	MaxMetrics = 32 << 20
)

// Place is where one rank of a job runs, and what it is told of the others.
type Place struct {
	Dir    string // the rank's folder, absolute: code/, out/, tmp/ and what it reports to
	Inputs string // the folder of the inputs, absolute
	Rank   int
	World  int      // how many ranks there are
	Master string   // the address of rank 0
	Port   int      // the first of Ports in a row that are likely to be free, there and on the others
	Hosts  []string // the address of each node, in their order; nil: all of them are Master
}

// Environ is what every target sets for a job, beside what the stage declares. The names
// from RANK on are those of torchrun, which most libraries for distributed training
// understand.
func Environ(job target.Job, p Place) map[string]string {
	env := map[string]string{
		"AMLFLOW_JOB":     job.ID,
		"AMLFLOW_OUTPUTS": path.Join(p.Dir, ValuesFile),
		"AMLFLOW_METRICS": path.Join(p.Dir, MetricsFile),
		"TMPDIR":          path.Join(p.Dir, "tmp"),
		"PWD":             path.Join(p.Dir, "code"),
		// Python keeps its output back when it goes to a file, and a log that can
		// be followed is worth more than the speed.
		"PYTHONUNBUFFERED": "1",

		"RANK":             fmt.Sprint(p.Rank),
		"LOCAL_RANK":       fmt.Sprint(p.Rank % job.PerNode()),
		"NODE_RANK":        fmt.Sprint(p.Rank / job.PerNode()),
		"WORLD_SIZE":       fmt.Sprint(p.World),
		"LOCAL_WORLD_SIZE": fmt.Sprint(job.PerNode()),
		"MASTER_ADDR":      p.Master,
		"MASTER_PORT":      fmt.Sprint(p.Port),
	}
	if job.Launch != nil {
		maps.Copy(env, launched(job, p))
	}
	if c := job.Checkpoint; c != nil {
		env["AMLFLOW_CHECKPOINT"] = path.Join(p.Dir, "code", c.Path)
	}
	for _, a := range job.Inputs {
		env[target.EnvName("AMLFLOW_INPUT_", a.Name)] = path.Join(p.Inputs, a.Name)
	}
	for _, a := range job.Outputs {
		env[target.EnvName("AMLFLOW_OUTPUT_", a.Name)] = path.Join(p.Dir, "out", a.Name)
	}
	return env
}
