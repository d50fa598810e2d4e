package tracking

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// Made are the models among what a job has logged, as folders of their own.
type Made struct {
	logged Logged
	files  []target.Entry
}

// ReadMade reads what Keep or KeepStore has made.
func ReadMade(ctx context.Context, blobs target.Blobs, kept target.Ref) (m Made, err error) {
	if m.files, err = target.ListTree(ctx, blobs, kept); err != nil {
		return m, err
	}
	at := slices.IndexFunc(m.files, func(e target.Entry) bool { return e.Path == RunsFile })
	if at < 0 {
		return m, fmt.Errorf("%s has no %s", kept, RunsFile)
	}
	r, err := blobs.Open(ctx, m.files[at].Ref)
	if err != nil {
		return m, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, mostText))
	if err == nil {
		if err = json.Unmarshal(text, &m.logged); err != nil {
			err = fmt.Errorf("%s: %w: %w", RunsFile, err, target.ErrPermanent)
		}
	}
	return m, err
}

// Model is the folder of the model that was logged last under a name. Older clients have
// it among the artifacts of a run. It is empty when there is none.
func (m Made) Model(ctx context.Context, blobs target.Blobs, name string) (target.Ref, error) {
	for _, l := range slices.Backward(m.logged.Models) {
		if l.Name == name {
			return m.folder(ctx, blobs, "models/"+l.ID)
		}
	}
	for _, r := range slices.Backward(m.logged.Runs) {
		if dir := "runs/" + r.ID + "/" + name; m.has(dir + "/MLmodel") {
			return m.folder(ctx, blobs, dir)
		}
	}
	return "", nil
}

// Enlisted is a version of a model that a job has registered, and its content.
type Enlisted struct {
	Name    string     `json:"name"`              // as the job called it
	Model   target.Ref `json:"model,omitempty"`   // empty: it was on record before
	Aliases []string   `json:"aliases,omitempty"` // what the job calls this version
	Version int        `json:"version,omitempty"` // of one that was on record
}

// Enlisted are the versions that were registered and whose content is there, in the order
// in which they were: prompts, which the client registers in the same way, have none.
func (m Made) Enlisted(ctx context.Context, blobs target.Blobs) (all []Enlisted, err error) {
	for _, r := range m.logged.Registered {
		if r.OnRecord {
			all = append(all, Enlisted{Name: r.Name, Version: r.Version, Aliases: r.Aliases})
			continue
		}
		ref, err := m.folder(ctx, blobs, m.place(r.Source, len(m.logged.Registered)))
		if err != nil {
			return nil, err
		}
		if ref != "" {
			all = append(all, Enlisted{Name: r.Name, Model: ref, Aliases: r.Aliases})
		}
	}
	return all, nil
}

// Used are the models on record that the job has loaded.
func (m Made) Used() []Used { return m.logged.Used }

func (m Made) has(path string) bool {
	return slices.ContainsFunc(m.files, func(e target.Entry) bool { return e.Path == path })
}

// folder makes a folder of its own of one of those that were kept; empty when it is not
// there. Nothing is copied, since contents have names.
func (m Made) folder(ctx context.Context, blobs target.Blobs, dir string) (target.Ref, error) {
	var inside []target.Entry
	for _, e := range m.files {
		if rest, ok := strings.CutPrefix(e.Path, dir+"/"); ok && dir != "" {
			e.Path = rest
			inside = append(inside, e)
		}
	}
	if len(inside) == 0 {
		return "", nil
	}
	return target.PutList(ctx, blobs, inside)
}

// The forms in which the client says where the content of a version is.
var (
	byModel   = regexp.MustCompile(`^models:/(m-[0-9a-f]+)$`)
	byVersion = regexp.MustCompile(`^models:/([^/@]+)/([0-9]+)$`)
	byRun     = regexp.MustCompile(`^runs:/([^/]+)/(.+)$`)
	byProxy   = regexp.MustCompile(`^mlflow-artifacts:(?://[^/]*)?/(models|runs)/(.+)$`)
	byFile    = regexp.MustCompile(`/(?:(models)/)?([^/]+)/artifacts(?:/(.+))?$`) // of the file store
)

// place is the folder that a source is in. A version may be a copy of another one, most
// is how many are followed.
func (m Made) place(source string, most int) string {
	source = strings.TrimSuffix(source, "/")
	if f := byModel.FindStringSubmatch(source); f != nil {
		return "models/" + f[1]
	}
	if f := byVersion.FindStringSubmatch(source); f != nil && most > 0 {
		for _, r := range m.logged.Registered {
			if r.Name == f[1] && strconv.Itoa(r.Version) == f[2] {
				return m.place(r.Source, most-1)
			}
		}
	}
	if f := byRun.FindStringSubmatch(source); f != nil {
		return "runs/" + f[1] + "/" + f[2]
	}
	if f := byProxy.FindStringSubmatch(source); f != nil {
		return f[1] + "/" + f[2]
	}
	if f := byFile.FindStringSubmatch(source); f != nil {
		return strings.TrimSuffix(cmp.Or(f[1], "runs")+"/"+f[2]+"/"+f[3], "/")
	}
	return ""
}
