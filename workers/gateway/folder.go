package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/pyenv"
)

// The files of a state folder:
//
//	lock                              held (flock) by the process that is the gateway
//	nudge                             a named pipe: a byte says "look again"
//	port, now.json                    where it listens; what it says about itself
//	wishes.lock, start.lock           held while wishes are written; while a gateway is started
//	making/ID/                        a deployment whose code and model are being delivered
//	gone/ID                           an empty file: it was retired and must not come again
//	routing/NAME.json, NAME.applied   what was decided about an endpoint, and its history; up to where the gateway follows
//	keys/NAME.json                    the two keys of an endpoint that asks for one
//	endpoints/NAME/deployments/ID/    wish.json, end.json, retired, swept, figures; code/, model, serve.*, or contents/
//	  instances/N/                    now.json or last.json, log, tmp/, and a folder for each start: a process folder, or seat.json
const (
	lockFile    = "lock"
	nudgeFile   = "nudge"
	portFile    = "port"
	nowFile     = "now.json"
	wishesLock  = "wishes.lock"
	startLock   = "start.lock"
	wishFile    = "wish.json"
	endFile     = "end.json"
	retiredFile = "retired"
	sweptFile   = "swept"
)

// Folder is the state folder of a gateway as its clients see it. What they want
// is written there; the gateway is only told to look. Everything stands when no
// gateway runs, and the next one goes on.
type Folder struct {
	Dir string // absolute
	// Start starts a process that calls Main with dir, in its own session. When
	// it is nil no gateway is ever started by this client.
	Start func(dir string) error
	// Shell runs the scripts of deployments, as `Shell -e FILE`; sh when empty.
	Shell string
	// Envs keeps the Python environments of deployments.
	Envs pyenv.Folder
	// Hosts are the drivers through which instances are reached that are no processes of
	// this computer.
	Hosts Hosts
}

func (f Folder) path(elem ...string) string {
	return filepath.Join(append([]string{f.Dir}, elem...)...)
}

func (f Folder) endpoint(name string) string { return f.path("endpoints", name) }

// names returns the endpoints that have a folder, sorted.
func (f Folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.path("endpoints"))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var names []string
	for _, e := range entries {
		if validName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// find returns the deployment with this id; ok is false when there is none.
func (f Folder) find(id string) (d deployment, ok bool, err error) {
	names, err := f.names()
	if err != nil {
		return d, false, err
	}
	for _, name := range names {
		dir := filepath.Join(f.endpoint(name), "deployments", id)
		if !exists(dir, wishFile) {
			continue
		}
		d, err = readDeployment(dir)
		if err = ignoreMissing(err); err != nil || d.ID == id {
			return d, err == nil, err
		}
	}
	return d, false, nil
}

// work reports whether any endpoint needs a gateway.
func (f Folder) work() (bool, error) {
	names, err := f.names()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		h, err := readHistory(f.endpoint(name))
		if err != nil || h.work() {
			return true, err
		}
	}
	return false, nil
}

// url returns where clients ask the endpoint, or "" before a port was chosen.
func (f Folder) url(endpoint string) string {
	if port := f.port(); port != 0 {
		return fmt.Sprintf("http://127.0.0.1:%d/%s", port, endpoint)
	}
	return ""
}

// port returns the port that was chosen for this folder, or 0.
func (f Folder) port() int {
	text, _ := os.ReadFile(f.path(portFile))
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}

// locked calls do while it holds the lock name, which excludes every other
// process and goroutine. The kernel frees the lock of a process that dies.
func (f Folder) locked(ctx context.Context, name string, do func() error) error {
	path := f.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		lock, err := jobdir.TryLock(path, syscall.LOCK_EX)
		if err == nil {
			defer lock.Close()
			return do()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %q: %w", path, err)
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("wait for %q, which another amlflow holds: %w", path, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// validName reports whether an endpoint may have this name, which becomes part
// of a path and of a URL.
func validName(name string) bool { return namePattern.MatchString(name) }
