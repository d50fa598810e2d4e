package docker

import (
	"context"
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
	"sync"
	"time"
)

// The driver's folder holds:
//
//	owner           what tells the containers of this state folder from those of others on the same engine
//	hosts/<digest>  how an engine was reached, so that what it keeps can be swept
//	spool/<id>.*    files on their way, removed when they have arrived

// staleSpool is when files on their way are taken for those of a process that died.
const staleSpool = 7 * 24 * time.Hour

// token is a name that nobody else can guess or have.
func token() string { return strings.ToLower(rand.Text()[:12]) }

// owner names this state folder; it is made once.
func (d Driver) owner() (string, error) {
	path := filepath.Join(d.Dir, "owner")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(d.Dir, 0o700); err != nil {
			return "", err
		}
		if err := d.writeOnce(path, []byte(strings.ToLower(rand.Text()))); err != nil {
			return "", err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("read who owns containers: %w", err)
	}
	return string(text), nil
}

// rememberHost keeps how the engine is reached.
func (d Driver) rememberHost(a address) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	path := filepath.Join(d.Dir, "hosts", hex.EncodeToString(sum[:8]))
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return d.writeOnce(path, text)
}

// hosts lists the engines that this state folder has used.
func (d Driver) hosts() ([]address, error) {
	names, err := filepath.Glob(filepath.Join(d.Dir, "hosts", "*"))
	if err != nil {
		return nil, err
	}
	var all []address
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var a address
		if err := json.Unmarshal(text, &a); err != nil {
			return nil, fmt.Errorf("read %q: remove it if it is damaged: %w", name, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// writeOnce makes a whole file, unless there is one.
func (d Driver) writeOnce(path string, text []byte) error {
	tmp := filepath.Join(d.Dir, ".new."+token())
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// spool makes a folder for files on their way, and removes those that died there.
func (d Driver) spool(id string) (string, error) {
	dir := filepath.Join(d.Dir, "spool")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleSpool {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return "", err
			}
		}
	}
	return os.MkdirTemp(dir, id+".*")
}

// turns are held by submissions under way in this process, by job.
var turns = struct {
	sync.Mutex
	held map[string]chan struct{}
}{held: map[string]chan struct{}{}}

// enter waits until no one else in this process is inside of name, and returns what
// leaves it.
func enter(ctx context.Context, name string) (leave func(), err error) {
	for {
		turns.Lock()
		other, taken := turns.held[name]
		if !taken {
			mine := make(chan struct{})
			turns.held[name] = mine
			turns.Unlock()
			return func() {
				turns.Lock()
				delete(turns.held, name)
				turns.Unlock()
				close(mine)
			}, nil
		}
		turns.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
