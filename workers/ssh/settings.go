package ssh

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"
)

// settings is what a workspace may say about a target; see settings.schema.json.
type settings struct {
	Host         string           `json:"host"`
	Hosts        []string         `json:"hosts"` // once read, it has Host, too
	Port         int              `json:"port"`
	User         string           `json:"user"`
	IdentityFile string           `json:"identity_file"`
	Passphrase   *secrets.Setting `json:"passphrase"`
	Password     *secrets.Setting `json:"password"`
	KnownHosts   string           `json:"known_hosts"`
	Workdir      string           `json:"workdir"`
	Jump         []string         `json:"jump"`
	Shell        string           `json:"shell"`
	GPUs         int              `json:"gpus"` // of each host
	Log          jobdir.Bytes     `json:"log"`
}

// A log is kept up to mostLog unless the target says otherwise, and up to leastLog whatever
// it says: a beginning and an end must be worth reading.
const (
	mostLog  = 1 << 30
	leastLog = 64 << 10
)

func readSettings(t target.Target) (settings, error) {
	s := settings{Workdir: ".amlflow", Shell: "sh", Log: mostLog}
	if len(t.Settings) > 0 {
		if err := json.Unmarshal(t.Settings, &s); err != nil {
			return s, fmt.Errorf("settings of target %q: %w: %w", t.Name, err, target.ErrPermanent)
		}
	}
	switch {
	case s.Host == "" && len(s.Hosts) == 0:
		return s, fmt.Errorf("target %q names no machine: say which as `host`, or several as `hosts`: %w", t.Name, target.ErrPermanent)
	case s.Host != "" && len(s.Hosts) > 0:
		return s, fmt.Errorf("target %q has both `host` and `hosts`: put all machines into `hosts`: %w", t.Name, target.ErrPermanent)
	case s.Host != "":
		s.Hosts = []string{s.Host}
	}
	if s.Log < leastLog {
		return s, fmt.Errorf("settings of target %q: `log` is %s, which leaves too little to read: write at least %s: %w", t.Name, jobdir.FormatBytes(int64(s.Log)), jobdir.FormatBytes(leastLog), target.ErrPermanent)
	}
	if strings.ContainsAny(s.Workdir, "\n\r\x00") {
		return s, fmt.Errorf("target %q: the `workdir` %q holds a line break: %w", t.Name, s.Workdir, target.ErrPermanent)
	}
	return s, nil
}

// grant gives a job what it asks for, and refuses one that asks for more than the target
// has.
func (s settings) grant(name string, need target.Resources) (nodes int, err error) {
	nodes = max(need.Nodes, 1)
	if nodes > len(s.Hosts) {
		return 0, fmt.Errorf("target %q has %d hosts, the job asks for %d nodes: add to `hosts` of the target, or ask for fewer: %w", name, len(s.Hosts), nodes, target.ErrPermanent)
	}
	if err := s.fits(name, need); err != nil {
		return 0, fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	return nodes, nil
}

var _ target.Fitter = Driver{}

// Fits implements target.Fitter.
func (Driver) Fits(t target.Target, need target.Resources) error {
	s, err := readSettings(t)
	if err != nil {
		return nil //nolint:nilerr // whoever uses the target says what is wrong with its settings
	}
	return s.fits(t.Name, need)
}

// fits refuses what no host has.
func (s settings) fits(name string, need target.Resources) error {
	if need.GPUs <= s.GPUs {
		return nil
	}
	return target.Misfit{
		Path: "gpus",
		What: fmt.Sprintf("target %q has %d GPUs on each host, the job asks for %d", name, s.GPUs, need.GPUs),
		Cure: "say how many there are as `gpus` of the target, or ask for fewer",
	}
}

// expand makes a path absolute that begins at the home folder.
func expand(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path, nil
	}
	home, err := os.UserHomeDir()
	return home + "/" + rest, err
}

// somePort is below those that systems hand out by themselves.
func somePort() int { return 20_000 + rand.IntN(12_000) }
