package tracking

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
)

// record is what a job may read beyond what it has logged itself: the models that earlier
// stages and runs have registered. The zero value has none.
type record struct {
	models registry.Registry
	blobs  target.Blobs
}

// recordOf is the record of the store that a job's file names.
func (d *desk) recordOf(dir string) record {
	text, err := os.ReadFile(filepath.Join(dir, "job.json"))
	var file struct{ Job target.Job }
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil || file.Job.Models == "" || d.store == nil {
		return record{}
	}
	blobs, err := d.store(file.Job.Models)
	if err != nil {
		d.log.Error("open the store that has the models", "job", dir, "error", err)
		return record{}
	}
	return record{registry.Open(file.Job.Models), blobs}
}

// newest is the highest number that was ever given to a version of what a job calls name.
func (r record) newest(name string) int {
	if r.blobs == nil {
		return 0
	}
	n, _ := r.models.Newest(registry.NameOf(name)) // what cannot be read is not there
	return n
}

// versions are those of what a job calls name, the newest first.
func (r record) versions(name string) []registry.Version {
	if r.blobs == nil {
		return nil
	}
	all, _ := r.models.Versions(registry.NameOf(name))
	slices.Reverse(all)
	return all
}

// version is one of them; ok is false when there is none.
func (r record) version(name string, n int) (v registry.Version, ok bool) {
	if r.blobs == nil {
		return v, false
	}
	v, err := r.models.Find(registry.NameOf(name), strconv.Itoa(n))
	return v, err == nil
}

// aliases are the names that versions have for the client, by the number of the version:
// labels, which people give, and what jobs have called them.
func (r record) aliases(name string) map[string]int {
	all := map[string]int{}
	if r.blobs == nil {
		return all
	}
	aliases, _ := r.models.Aliases(registry.NameOf(name))
	labels, _ := r.models.Holders(registry.NameOf(name))
	for _, some := range []map[string]int{aliases, labels} { // labels last: they decide
		for alias, n := range some {
			all[alias] = n
		}
	}
	return all
}

// recordDir is the folder of artifacts that has the models on record.
const recordDir = "registered"

// said is a version on record as the client understands it, under the name by which it
// asked.
func (r record) said(name string, v registry.Version) map[string]any {
	aliases, stage := []string{}, noStage
	for alias, n := range r.aliases(name) {
		if n != v.Version {
			continue
		}
		aliases = append(aliases, alias)
		if alias == "production" || alias == "staging" && stage == noStage {
			stage = strings.ToUpper(alias[:1]) + alias[1:]
		}
	}
	slices.Sort(aliases)
	tags := []pair{}
	if len(v.Origins) > 0 {
		o := v.Origins[0]
		tags = append(tags, pair{"amlflow.run", o.Run}, pair{"amlflow.stage", o.Stage})
	}
	made := whole(v.Made.UnixMilli())
	return map[string]any{
		"name": name, "version": strconv.Itoa(v.Version), "creation_timestamp": made, "last_updated_timestamp": made, "description": "",
		"source": artifactsOf(recordDir, v.Model+"/"+strconv.Itoa(v.Version)), "run_id": "", "model_id": "", "status": "READY", "current_stage": stage, "tags": tags, "aliases": aliases,
	}
}

// Used is a model on record that a job has loaded.
type Used struct {
	Model    string     `json:"model"` // NAME@VERSION
	Artifact target.Ref `json:"artifact"`
}

// uses puts on record that the job has loaded a version, once.
func (j *job) uses(v registry.Version) error {
	u := Used{v.Reference(), v.Artifact}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil || slices.Contains(j.used, u) {
		return err
	}
	return j.write(change{Used: &u})
}

// recorded is what a path among artifacts on record names: a version with its files, and what
// is below it.
func (j *job) recorded(ctx context.Context, p string) (v registry.Version, files []target.Entry, below string, err error) {
	f := strings.SplitN(filepath.ToSlash(p), "/", 4)
	if len(f) < 3 {
		return v, nil, "", missing("%q is no model", p)
	}
	n, _ := strconv.Atoi(f[2])
	v, ok := j.record.version(f[1], n)
	if !ok {
		return v, nil, "", missing("there is no model %s@%s", f[1], f[2])
	}
	if len(f) > 3 {
		below = f[3]
	}
	files, err = j.record.files(ctx, v)
	return v, files, below, err
}

// ofRecord reports whether a path is below the folder of what is on record.
func ofRecord(p string) bool { return p == recordDir || strings.HasPrefix(p, recordDir+"/") }

// files are those of a version. One that is a single file is a folder for the client, which
// downloads nothing else: the file is called as the output is that it was.
func (r record) files(ctx context.Context, v registry.Version) ([]target.Entry, error) {
	if v.Artifact.IsTree() {
		return target.ListTree(ctx, r.blobs, v.Artifact)
	}
	name := "model"
	if len(v.Origins) > 0 {
		name = cmp.Or(v.Origins[0].Output, name)
	}
	return []target.Entry{{Path: name, Ref: v.Artifact}}, nil
}

// listRecorded lists a folder of a model on record.
func (j *job) listRecorded(w http.ResponseWriter, q *http.Request, p string) error {
	_, tree, below, err := j.recorded(q.Context(), p)
	if err != nil {
		return err
	}
	all := []file{}
	for _, e := range tree {
		rest := e.Path
		if below != "" {
			var inside bool
			if rest, inside = strings.CutPrefix(e.Path, below+"/"); !inside {
				continue
			}
		}
		first, _, deeper := strings.Cut(rest, "/")
		one := file{Path: first, Dir: deeper || e.Ref == ""}
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.Path, b.Path) })
	reply(w, http.StatusOK, map[string]any{"files": all})
	return nil
}

// downloadRecorded sends a file of a model on record. Its content is held against its digest
// while it is sent: one that does not agree breaks off.
func (j *job) downloadRecorded(w http.ResponseWriter, q *http.Request, p string) error {
	v, tree, below, err := j.recorded(q.Context(), p)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(tree, func(e target.Entry) bool { return e.Path == path.Clean(below) && e.Ref != "" })
	if at < 0 {
		return missing("the model %s has no file %q", v.Reference(), below)
	}
	if err := j.uses(v); err != nil {
		return err
	}
	content, err := j.record.blobs.Open(q.Context(), tree[at].Ref)
	if err != nil {
		return err
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := io.Copy(w, content); err != nil {
		panic(http.ErrAbortHandler) // half of it must not seem to be all
	}
	return nil
}
