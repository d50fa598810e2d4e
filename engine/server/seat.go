// Package server is the background process of one state folder: it holds the
// embedded Temporal, unless another one is used, and the worker that follows
// jobs. Any command starts it when none answers, and it stops by itself when
// nothing is left to do. It can be killed at any moment: jobs and endpoints go
// on without it, and the next command starts it again.
package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/engine/cluster"
)

// Seat is the place of one background process in a state folder: one for the
// embedded engine and one for each external address.
type Seat struct {
	Home     string           // the state folder
	External *cluster.Address // nil: embedded
}

// Info is what a running server tells its clients. The file that holds it can
// be read by its owner only, since it carries the keys.
type Info struct {
	PID     int             `json:"pid"`
	Build   string          `json:"build"`
	Address cluster.Address `json:"address"` // of Temporal
	Control string          `json:"control"` // base URL of the control API
	Token   string          `json:"token"`
	Queue   string          `json:"queue"`
}

// ControlQueue is the task queue for what must not wait behind running jobs.
func (i Info) ControlQueue() string { return i.Queue + "-control" }

func (s Seat) dir() string {
	if s.External == nil {
		return filepath.Join(s.Home, "server")
	}
	sum := sha256.Sum256([]byte(s.External.String()))
	return filepath.Join(s.Home, "server-"+hex.EncodeToString(sum[:4]))
}

// LogFile is where the process writes what it has to say.
func (s Seat) LogFile() string { return filepath.Join(s.dir(), "server.log") }

func (s Seat) infoFile() string    { return filepath.Join(s.dir(), "server.json") }
func (s Seat) lockFile() string    { return filepath.Join(s.dir(), "server.lock") }
func (s Seat) failureFile() string { return filepath.Join(s.dir(), "failure") }

// AddressFile is where the address of an external engine is handed to the
// process, so that no key appears among its arguments.
func (s Seat) AddressFile() string { return filepath.Join(s.dir(), "address.json") }

// Prepare makes the folders that the seat needs.
func (s Seat) Prepare() error {
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		return fmt.Errorf("make the state folder (set AMLFLOW_HOME to have it elsewhere): %w", err)
	}
	if s.External == nil {
		return nil
	}
	return writeJSON(s.AddressFile(), s.External)
}

// writable reports why no server can live in the seat: one that cannot write, say
// on a full disk, could not even leave word of it.
func (s Seat) writable() error {
	probe := filepath.Join(s.dir(), "probe."+rand.Text()[:8])
	defer os.Remove(probe)
	if err := os.WriteFile(probe, []byte("x"), 0o600); err != nil {
		return fmt.Errorf("%w: make room, or set AMLFLOW_HOME to a folder elsewhere: %w", ErrNotStarted, err)
	}
	return nil
}

// ReadAddress reads what Prepare wrote for an external engine.
func ReadAddress(file string) (*cluster.Address, error) {
	var a cluster.Address
	return &a, readJSON(file, &a)
}

func (s Seat) info() (Info, error) {
	var i Info
	return i, readJSON(s.infoFile(), &i)
}

// queue is the task queue of this state folder. Jobs of a run go to the
// computer, and the state folder, that it was submitted from.
func (s Seat) queue() (string, error) {
	file := filepath.Join(s.Home, "id")
	for range 2 {
		b, err := os.ReadFile(file)
		if id := strings.TrimSpace(string(b)); err == nil && len(id) == 16 {
			return "amlflow-" + id, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err := writeOnce(file, rand.Text()[:16]); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%q does not hold the id of this state folder: remove it when no run is in progress", file)
}

// writeOnce creates a whole file, unless somebody else did first.
func writeOnce(file, text string) error {
	tmp := file + "." + rand.Text()[:8]
	if err := os.WriteFile(tmp, []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func readJSON(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// writeJSON replaces a file at once, readable by its owner only.
func writeJSON(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := file + "." + rand.Text()[:8]
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, file)
}
