package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Clusters of several state folders.
//
// With `shared_dir` a cluster is kept in a folder that several state folders name, of one
// computer or of several that see it under the same path. All is as in a state folder: the
// same files, and the same lock, which file servers keep, too. Each state folder remembers
// which ones it uses, in shares/, so that its background server keeps these as well.

// in is the driver for where the cluster of a target is kept.
func (d Driver) in(t target.Target) Driver {
	var s struct {
		SharedDir string `json:"shared_dir"`
	}
	_ = json.Unmarshal(t.Settings, &s) // what is wrong with them is said by readSettings
	if !filepath.IsAbs(s.SharedDir) {
		return d
	}
	return d.keptIn(filepath.Clean(s.SharedDir))
}

func (d Driver) keptIn(dir string) Driver {
	if d.dir != dir {
		d.dir, d.jobs.Dir, d.shared = dir, dir, d.dir
	}
	return d
}

// remember has the background server of this state folder keep what is in the folder that
// it shares.
func (d Driver) remember() error {
	if d.shared == "" {
		return nil
	}
	dir, sum := filepath.Join(d.shared, "shares"), sha256.Sum256([]byte(d.dir))
	name := hex.EncodeToString(sum[:8])
	if exists(filepath.Join(dir, name)) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return jobdir.WriteDurable(dir, name, []byte(d.dir))
}

// homes are the drivers for all folders in which clusters are kept that this state folder
// has used.
func (d Driver) homes() ([]Driver, error) {
	all := []Driver{d}
	entries, err := os.ReadDir(filepath.Join(d.dir, "shares"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, e := range entries {
		if dir, err := os.ReadFile(filepath.Join(d.dir, "shares", e.Name())); err == nil && filepath.IsAbs(string(dir)) && exists(string(dir)) {
			all = append(all, d.keptIn(string(dir)))
		}
	}
	return all, err
}

// own refuses a folder that another user keeps clusters in. Jobs run as whoever starts them,
// so that those of one user would run as another; root, who is kept from nothing, too.
func (d Driver) own(name string) error {
	clusters := filepath.Join(d.dir, "clusters")
	for _, path := range []string{clusters, d.dir} {
		info, err := os.Stat(path)
		if err != nil {
			continue // it is to be made, or whoever makes it hears why not
		}
		how, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(how.Uid) == os.Geteuid() {
			return nil
		}
		const write = 2
		if path != clusters && syscall.Access(path, write) == nil {
			return nil // such as /tmp: nobody keeps any here yet
		}
		owner, me := userName(int(how.Uid)), userName(os.Geteuid())
		return fmt.Errorf("target %q: the clusters in %q belong to %s, and you are %s; jobs run as whoever starts them, so that users cannot share a cluster: name a folder of your own as `shared_dir`, or run amlflow as %s: %w",
			name, d.dir, owner, me, owner, target.ErrPermanent)
	}
	return nil
}

func userName(id int) string {
	text := strconv.Itoa(id)
	u, err := user.LookupId(text)
	if err != nil {
		return "user " + text
	}
	return u.Username
}

// claim refuses a shared cluster whose nodes are shares of another computer: what runs there
// cannot be seen from here.
func (d Driver) claim(t target.Target, s settings, st *state) error {
	if d.shared == "" || s.far() {
		return nil
	}
	me, err := os.Hostname()
	if err != nil {
		return err
	}
	if st.Machine == "" {
		st.Machine = me
	}
	if st.Machine != me {
		return fmt.Errorf("the nodes of target %q are shares of computer %q, where the cluster in %q was first used: name another folder as `shared_dir`, or a provider whose nodes are other machines: %w", t.Name, st.Machine, d.dir, target.ErrPermanent)
	}
	return nil
}
