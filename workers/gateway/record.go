package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// wish is the record that a deployment was asked for. It never changes.
type wish struct {
	Seq    int       `json:"seq"` // later wishes for the same endpoint have larger numbers
	Target string    `json:"target"`
	Shell  string    `json:"shell,omitempty"` // runs Script
	Venv   string    `json:"venv,omitempty"`  // the Python environment of its instances
	At     time.Time `json:"at"`
	// Kind and Settings are those of the target. Deployments of before have none, and
	// are of this computer.
	Kind     string          `json:"kind,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
	ServePy  target.Ref      `json:"serve_py,omitempty"` // the server of Score, among the contents
	target.Deployment
}

// end is the record of how a rollout ended. The first one stays, and it is the
// switch: the live deployment of an endpoint is the last that succeeded.
type end struct {
	State  target.State    `json:"state"`
	Cause  target.Cause    `json:"cause,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Log    string          `json:"log,omitempty"`
	At     time.Time       `json:"at"`
}

// deployment is all that the folder of one says.
type deployment struct {
	wish
	dir     string
	end     *end
	retired bool // is to be stopped and removed
	swept   bool // nothing of it runs any more
}

func (d deployment) pending() bool { return d.end == nil && !d.retired }
func (d deployment) succeeded() bool {
	return d.end != nil && d.end.State == target.Succeeded && !d.retired
}

// history is the deployments of one endpoint, oldest first.
type history []deployment

// coming returns the deployment that is to be tried, or nil.
func (h history) coming() *deployment {
	return h.last(deployment.pending)
}

func (h history) last(is func(deployment) bool) *deployment {
	for i := len(h) - 1; i >= 0; i-- {
		if is(h[i]) {
			return &h[i]
		}
	}
	return nil
}

// current returns those that were not retired.
func (h history) current() history {
	return slices.DeleteFunc(slices.Clone(h), func(d deployment) bool { return d.retired })
}

// work reports whether a gateway has something to do or to keep alive here.
func (h history) work() bool {
	return slices.ContainsFunc(h, func(d deployment) bool { return d.retired || !d.swept })
}

// readHistory reads the deployments of the endpoint in dir.
func readHistory(dir string) (history, error) {
	dir = filepath.Join(dir, "deployments")
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var h history
	for _, n := range names {
		d, err := readDeployment(filepath.Join(dir, n.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // just removed
		}
		if err != nil {
			return nil, err
		}
		h = append(h, d)
	}
	slices.SortFunc(h, func(a, b deployment) int { return cmp.Compare(a.Seq, b.Seq) })
	return h, nil
}

func readDeployment(dir string) (deployment, error) {
	d := deployment{dir: dir, retired: exists(dir, retiredFile), swept: exists(dir, sweptFile)}
	if err := readJSON(dir, wishFile, &d.wish); err != nil {
		return d, err
	}
	var e end
	switch err := readJSON(dir, endFile, &e); {
	case err == nil:
		d.end = &e
	case !errors.Is(err, fs.ErrNotExist):
		return d, err
	}
	return d, nil
}

// conclude records how the rollout in dir ended. The caller holds the lock of
// the wishes and has seen that there is no such record.
func conclude(dir string, e end) error {
	e.At = time.Now()
	return writeDurable(dir, endFile, e)
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

func readJSON(dir, name string, v any) error {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// writeDurable writes the record so that it is absent or whole, and there to
// stay, whatever happens to this process or to the machine.
func writeDurable(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return jobdir.WriteDurable(dir, name, append(text, '\n'))
}

// writeQuick is writeDurable for what means nothing after a restart of the machine.
func writeQuick(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return replaceQuick(dir, name, append(text, '\n'))
}

// replaceQuick puts a file in its place whole.
func replaceQuick(dir, name string, text []byte) error {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// syncPath makes a file, or the names in a folder, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncTree makes all that is in dir durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		return syncPath(path)
	})
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
