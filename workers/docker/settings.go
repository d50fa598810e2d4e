package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/api/types/mount"
)

// When an image is fetched.
const (
	pullMissing = "missing"
	pullAlways  = "always"
	pullNever   = "never"
)

// address is how an engine is reached.
type address struct {
	Host string `json:"host,omitempty"`
	TLS  string `json:"tls,omitempty"`
}

// settings is what a workspace may say about a target; see settings.schema.json.
type settings struct {
	address
	Image    string       `json:"image"`
	Pull     string       `json:"pull"`
	User     string       `json:"user"`
	Network  string       `json:"network"`
	GPUs     int          `json:"gpus"`
	Volumes  []string     `json:"volumes"`
	ReadOnly bool         `json:"read_only"`
	CPUs     float64      `json:"cpus"`
	Memory   jobdir.Bytes `json:"memory"`
	Shm      jobdir.Bytes `json:"shm"`
	Pids     int64        `json:"pids"`
	Nodes    int          `json:"nodes"`
	Log      jobdir.Bytes `json:"log"`

	Logins map[string]login `json:"logins"` // by registry
}

// A log is kept up to mostLog unless the target says otherwise, and up to leastLog
// whatever it says: a beginning and an end must be worth reading, and file systems free
// whole blocks.
const (
	mostLog  = 1 << 30
	leastLog = 256 << 10
)

func readSettings(t target.Target) (settings, error) {
	s := settings{Pull: pullMissing, ReadOnly: true, Shm: 1 << 30, Pids: 4096, Nodes: 1, Log: mostLog}
	if len(t.Settings) > 0 {
		if err := json.Unmarshal(t.Settings, &s); err != nil {
			return s, fmt.Errorf("settings of target %q: %w: %w", t.Name, err, target.ErrPermanent)
		}
	}
	if s.Log < leastLog {
		return s, fmt.Errorf("settings of target %q: `log` is %s, which leaves too little to read: write at least %s: %w", t.Name, jobdir.FormatBytes(int64(s.Log)), jobdir.FormatBytes(leastLog), target.ErrPermanent)
	}
	_, err := s.mounts()
	if err = errors.Join(err, s.safe()); err != nil {
		return s, fmt.Errorf("settings of target %q: %w: %w", t.Name, err, target.ErrPermanent)
	}
	return s, nil
}

// safe refuses to talk to another machine in the clear: whoever listens could read
// what jobs are given, and whoever answers could be anyone.
func (a address) safe() error {
	if a.Host == "" || strings.HasPrefix(a.Host, "unix://") {
		return nil
	}
	u, err := url.Parse(a.Host)
	if err != nil || u.Scheme != "tcp" {
		return fmt.Errorf("`host` is %q: write unix:///PATH or tcp://HOST:PORT; a machine that is reached by ssh is a tunnel away: ssh -L /tmp/docker.sock:/var/run/docker.sock MACHINE", a.Host)
	}
	if ip := net.ParseIP(u.Hostname()); a.TLS == "" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("`host` %q is another machine, and nothing protects the connection: name a folder with ca.pem, cert.pem and key.pem as `tls`", a.Host)
	}
	return nil
}

// mounts are the volumes that every job sees.
func (s settings) mounts() ([]mount.Mount, error) {
	var all []mount.Mount
	for _, v := range s.Volumes {
		parts := strings.Split(v, ":")
		mode := "ro"
		if len(parts) == 3 {
			mode = parts[2]
		}
		if len(parts) < 2 || len(parts) > 3 || !path.IsAbs(parts[0]) || !path.IsAbs(parts[1]) || mode != "ro" && mode != "rw" {
			return nil, fmt.Errorf("%q in `volumes` is not /SOURCE:/TARGET, /SOURCE:/TARGET:ro or /SOURCE:/TARGET:rw", v)
		}
		if to := path.Clean(parts[1]); to == "/" || to == root || strings.HasPrefix(to, root+"/") {
			return nil, fmt.Errorf("%q in `volumes` would hide what every job needs: choose another folder of the container", v)
		}
		all = append(all, mount.Mount{Type: mount.TypeBind, Source: path.Clean(parts[0]), Target: path.Clean(parts[1]), ReadOnly: mode == "ro"})
	}
	return all, nil
}

// room is what the target has for one job.
func (s settings) room() ranks.Room {
	return ranks.Room{Nodes: s.Nodes, GPUs: s.GPUs, CPUs: s.CPUs, Memory: int64(s.Memory)}
}

var _ target.Fitter = Driver{}

// Fits implements target.Fitter.
func (Driver) Fits(t target.Target, need target.Resources) error {
	s, err := readSettings(t)
	if err != nil {
		return nil //nolint:nilerr // whoever uses the target says what is wrong with its settings
	}
	return s.room().Fits(t.Name, need)
}
