package slurm

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/ssh"
	"github.com/amlflow/amlflow/workers/target"
)

// settings is what a workspace may say about a target; see settings.schema.json.
type settings struct {
	SharedDir  string          `json:"shared_dir"`
	Partition  string          `json:"partition"`
	Account    string          `json:"account"`
	QOS        string          `json:"qos"`
	Constraint string          `json:"constraint"`
	Gres       string          `json:"gres"`
	Nodes      int             `json:"nodes"`
	Time       string          `json:"time"`
	Options    map[string]any  `json:"options"`
	Conf       string          `json:"conf"`
	Bin        string          `json:"bin"`
	Shell      string          `json:"shell"`
	Via        json.RawMessage `json:"via"`
	Held       []string        `json:"held"` // nodes that are held, in the order of ranks; no workspace can say it, see held.go
	Lent       []int           `json:"lent"` // which GPUs of its only hold a job sees, from 0 on; none: the first ones
}

func readSettings(t target.Target) (settings, error) {
	s := settings{Nodes: 64, Shell: "sh"}
	if len(t.Settings) > 0 {
		if err := json.Unmarshal(t.Settings, &s); err != nil {
			return s, fmt.Errorf("settings of target %q: %w: %w", t.Name, err, target.ErrPermanent)
		}
	}
	if !strings.HasPrefix(s.SharedDir, "/") && !strings.HasPrefix(s.SharedDir, "~/") {
		return s, fmt.Errorf("target %q: `shared_dir` must be a folder that all nodes see, an absolute path or one with ~/, and it is %q: %w", t.Name, s.SharedDir, target.ErrPermanent)
	}
	return s, nil
}

// place names the cluster and the folder.
func (s settings) place() string {
	return strings.Join([]string{s.SharedDir, s.Conf, s.Bin, string(s.Via)}, "\n")
}

// shell is the way to where jobs are submitted.
func (s settings) shell(name string) (remote.Shell, error) {
	if len(s.Via) > 0 {
		return ssh.NewShell(name, s.Via)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", name, err)
	}
	return remote.Here{Home: home}, nil
}

// options are those of sbatch that the target says for every job.
func (s settings) options() []string {
	var all []string
	for _, o := range []struct{ name, value string }{{"partition", s.Partition}, {"account", s.Account}, {"qos", s.QOS}, {"constraint", s.Constraint}, {"gres", s.Gres}, {"time", s.Time}} {
		if o.value != "" {
			all = append(all, "--"+o.name+"="+o.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Options)) {
		switch v := s.Options[name].(type) {
		case bool:
			all = append(all, "--"+name)
		case float64:
			all = append(all, "--"+name+"="+strconv.FormatFloat(v, 'f', -1, 64))
		default:
			all = append(all, fmt.Sprintf("--%s=%v", name, v))
		}
	}
	return all
}

// request are the options of sbatch for one job. Of an option that comes twice the later
// one counts.
func (s settings) request(job target.Job) []string {
	need, each := job.Needs, job.PerNode()
	all := append(s.options(), fmt.Sprintf("--nodes=%d", job.Nodes()), fmt.Sprintf("--ntasks=%d", job.Nodes()*each), fmt.Sprintf("--ntasks-per-node=%d", each))
	if need.CPUs > 0 {
		all = append(all, fmt.Sprintf("--cpus-per-task=%d", int(math.Ceil(need.CPUs/float64(each)))))
	}
	if need.Memory > 0 {
		all = append(all, fmt.Sprintf("--mem=%dK", (need.Memory+1023)>>10))
	}
	if need.GPUs > 0 {
		all = append(all, "--gres="+withGPUs(s.Gres, need.GPUs))
	}
	if job.Timeout > 0 {
		// The node itself enforces the timeout; Slurm is to know how long the job may
		// take at most, which lets it begin earlier.
		all = append(all, fmt.Sprintf("--time=%d", int(math.Ceil((job.Timeout+job.Grace+slack).Minutes()))))
	}
	return all
}

// slack is what Slurm allows a job beyond its timeout and its grace.
const slack = time.Minute

var gpuCount = regexp.MustCompile(`^(gpu(?::[A-Za-z_][^:,]*)?)(?::[0-9]+)?$`)

// withGPUs is gres with so many GPUs, of the type that it names.
func withGPUs(gres string, n int) string {
	what, rest := "gpu", []string{}
	for _, g := range strings.Split(gres, ",") {
		if m := gpuCount.FindStringSubmatch(g); m != nil {
			what = m[1]
		} else if g != "" {
			rest = append(rest, g)
		}
	}
	return strings.Join(append([]string{fmt.Sprintf("%s:%d", what, n)}, rest...), ",")
}
