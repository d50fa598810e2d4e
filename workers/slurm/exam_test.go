package slurm

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// thereNames are what a job may have beside what it was given: what the user has where jobs
// are submitted, and what Slurm tells.
var thereNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "SLURM_JOB_ID", "SLURM_JOB_NODELIST", "CUDA_VISIBLE_DEVICES"}

func TestExam(t *testing.T) {
	r := startSlurm(t, rigs.SlurmOptions{})
	targettest.Run(t, func(t *testing.T) targettest.Harness {
		dir, host := t.TempDir(), map[string]string{}
		for _, name := range thereNames {
			host[name] = "what the submitting shell has means nothing there"
		}
		return targettest.Harness{
			Driver: New(), Other: func(*testing.T) target.Driver { return New() }, Target: r.target(t, dir, nil),
			Host: host, Shared: t.TempDir(), Folder: dir, Local: true, Patience: 90 * time.Second,
		}
	})
}
