package gateway

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// servePy is copied beside each deployment, so that one that is live does not
// change when amlflow is upgraded.
//
//go:embed serve.py
var servePy []byte

// The names of what is delivered into the folder of a deployment.
const (
	codeDir   = "code"
	modelPath = "model"
	scoreFile = "serve.py"
	shellFile = "serve.sh"
)

// The bounds and defaults of a deployment.
const (
	maxInstances = 64
	defaultReady = time.Minute
)

// Deploy records the wish that d serves its endpoint on the target, with its own copies
// of code and model. See target.Server.
func (f Folder) Deploy(ctx context.Context, t target.Target, d target.Deployment, in target.Blobs) error {
	d = withDefaults(d)
	if err := check(d); err != nil {
		return fmt.Errorf("deploy %q: %w: %w", d.Endpoint, err, target.ErrPermanent)
	}
	// One id at a time: whoever comes second finds the work done.
	h := fnv.New32()
	h.Write([]byte(d.ID))
	err := f.locked(ctx, fmt.Sprintf("making/.%02x.lock", h.Sum32()%256), func() error {
		w := wish{Target: t.Name, Kind: t.Kind, Shell: f.Shell, Deployment: d}
		if !w.here() {
			w.Settings = t.Settings // whoever reaches the instances needs them
		}
		return f.make(ctx, w, in)
	})
	if err != nil {
		return fmt.Errorf("deploy %q: %w", d.Endpoint, err)
	}
	return f.ensure(ctx)
}

func withDefaults(d target.Deployment) target.Deployment {
	d.Instances = max(d.Instances, 1)
	if d.Health == "" {
		d.Health = "/health"
	}
	if d.Path == "" {
		d.Path = "/score"
	}
	if d.Ready <= 0 {
		d.Ready = defaultReady
	}
	return d
}

func check(d target.Deployment) error {
	switch {
	case !target.ValidID(d.ID):
		return fmt.Errorf("%.80q cannot be the id of a deployment", d.ID)
	case !validName(d.Endpoint):
		return fmt.Errorf("%.80q cannot name an endpoint: use at most 63 of a-z, 0-9, '.', '_' and '-', a letter or digit first", d.Endpoint)
	case (d.Score == "") == (d.Script == ""):
		return errors.New("it needs either a score file or a script, and not both")
	case d.Score != "" && !filepath.IsLocal(d.Score):
		return fmt.Errorf("the score file %q is outside the code folder", d.Score)
	case !strings.HasPrefix(d.Health, "/") || !strings.HasPrefix(d.Path, "/"):
		return fmt.Errorf("the paths %q and %q must start with a slash", d.Health, d.Path)
	case d.Access != target.Open && d.Access != target.Keyed:
		return fmt.Errorf("%q is no way to guard an endpoint: there is \"\" and %q", d.Access, target.Keyed)
	case max(d.Instances, most(d)) > maxInstances:
		return fmt.Errorf("%d instances are too many for one machine: at most %d", max(d.Instances, most(d)), maxInstances)
	}
	return checkServing(d.Serving)
}

func checkServing(s target.Serving) error {
	if l := s.Limits; min(l.Concurrent, l.Queue) < 0 || min(l.Timeout, l.Drain) < 0 {
		return fmt.Errorf("the limits %+v must not be negative", l)
	}
	if c := s.Scale; c != nil && (c.Min < 0 || c.Max < max(c.Min, 1) || c.Delay < 0 || !(c.Utilisation >= 0 && c.Utilisation <= 1)) {
		return fmt.Errorf("the scale %+v cannot be: 0 <= min <= max, max >= 1, 0 <= utilisation <= 1", *c)
	}
	if b := s.Batch; b != nil && (b.Max < 1 || b.Wait < 0) {
		return fmt.Errorf("the batching %+v cannot be: max is 1 or more, and the wait not negative", *b)
	}
	if s.OpenAPI != nil && !json.Valid(s.OpenAPI) {
		return errors.New("the OpenAPI description is not JSON")
	}
	return nil
}

func (f Folder) make(ctx context.Context, w wish, in target.Blobs) error {
	if _, known, err := f.find(w.ID); known || err != nil || exists(f.path("gone"), w.ID) {
		return err
	}
	// What a maker that died has left is not to be trusted.
	dir := f.path("making", w.ID)
	if err := jobdir.RemoveTree(dir); err != nil {
		return err
	}
	if err := f.equip(ctx, dir, &w, in); err != nil {
		return errors.Join(err, jobdir.RemoveTree(dir))
	}
	err := f.locked(ctx, wishesLock, func() error { return f.publish(dir, w) })
	if err != nil {
		return errors.Join(err, jobdir.RemoveTree(dir))
	}
	return nil
}

// equip puts all into dir that instances of the deployment need, whenever they start.
func (f Folder) equip(ctx context.Context, dir string, w *wish, in target.Blobs) error {
	if !w.here() {
		if err := f.vet(ctx, w.target(), w.Deployment, in); err != nil {
			return err
		}
		if w.Score != "" {
			w.ServePy = servePyRef()
		}
		return deliverContents(ctx, dir, *w, in)
	}
	if e := w.Environment; e != nil && e.Python != nil {
		venv, err := f.Envs.Make(ctx, *e.Python, w.Host)
		if err != nil {
			return err
		}
		w.Venv = venv
	}
	return deliver(ctx, dir, w.Deployment, in)
}

func deliver(ctx context.Context, dir string, d target.Deployment, in target.Blobs) error {
	code := filepath.Join(dir, codeDir)
	if err := os.MkdirAll(code, 0o700); err != nil {
		return err
	}
	if d.Code != "" {
		if err := target.GetTree(ctx, in, d.Code, code); err != nil {
			return fmt.Errorf("deliver the code: %w", err)
		}
	}
	if d.Model != "" {
		if err := target.Get(ctx, in, d.Model, filepath.Join(dir, modelPath)); err != nil {
			return fmt.Errorf("deliver the model: %w", err)
		}
	}
	name, text := scoreFile, servePy
	if d.Script != "" {
		name, text = shellFile, []byte(d.Script)
	}
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		return err
	}
	return syncTree(dir)
}

// publish gives the wish its number and its place. The caller holds the lock.
func (f Folder) publish(dir string, w wish) error {
	home := f.endpoint(w.Endpoint)
	h, r, err := f.records(w.Endpoint)
	if err != nil {
		return err
	}
	w.Seq = r.Noted + 1
	for _, d := range h {
		if w.Seq <= d.Seq {
			w.Seq = d.Seq + 1
		}
		if !d.retired && d.Target != w.Target {
			return fmt.Errorf("target %q already serves an endpoint of this name: remove it there, or choose another name: %w", d.Target, target.ErrPermanent)
		}
	}
	if w.Access == target.Keyed {
		if _, err := f.makeKeys(w.Endpoint); err != nil {
			return err
		}
	}
	w.At = time.Now()
	if err := writeDurable(dir, wishFile, w); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(home, "deployments"), 0o700); err != nil {
		return err
	}
	place := filepath.Join(home, "deployments", w.ID)
	if err := os.Rename(dir, place); err != nil {
		return err
	}
	for _, d := range []string{filepath.Dir(place), home, filepath.Dir(home), f.Dir} {
		if err := syncPath(d); err != nil {
			return err
		}
	}
	return supersede(home)
}

// supersede gives up all deployments that wait behind a newer one. The caller
// holds the lock of the wishes.
func supersede(home string) error {
	h, err := readHistory(home)
	coming := h.coming()
	if err != nil || coming == nil {
		return err
	}
	for _, d := range h {
		if d.pending() && d.Seq < coming.Seq {
			e := end{State: target.Cancelled, Reason: fmt.Sprintf("superseded by %s", coming.ID)}
			if err := conclude(d.dir, e); err != nil {
				return err
			}
		}
	}
	return nil
}
