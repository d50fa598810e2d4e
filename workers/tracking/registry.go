package tracking

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/registry"
)

// registered is a name under which a job registers versions of models. They are the job's
// own until it has ended well: then they are on record.
type registered struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Created     whole             `json:"creation_timestamp"`
	Updated     whole             `json:"last_updated_timestamp"`
	Tags        map[string]string `json:"tags,omitempty"`
	Aliases     map[string]string `json:"aliases,omitempty"` // to the number of a version
	Versions    []version         `json:"versions,omitempty"`
	// Base is how many versions were on record when the job registered the first of its own:
	// these are counted from there.
	Base    int  `json:"base,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
}

// version is one of them.
type version struct {
	Description string            `json:"description,omitempty"`
	Created     whole             `json:"creation_timestamp"`
	Updated     whole             `json:"last_updated_timestamp"`
	Source      string            `json:"source"`
	Run         string            `json:"run_id,omitempty"`
	Model       string            `json:"model_id,omitempty"`
	Stage       string            `json:"current_stage,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Deleted     bool              `json:"deleted,omitempty"` // its number is not used again
}

// newest are the versions that have the highest number in each of some stages; without
// stages, the newest of all.
func (j *job) newest(r *registered, stages []string) []map[string]any {
	all, seen := []map[string]any{}, map[string]bool{}
	for _, v := range j.versions(r) {
		stage := v["current_stage"].(string)
		if len(stages) == 0 {
			stage = ""
		}
		if seen[stage] || len(stages) > 0 && !slices.Contains(stages, strings.ToLower(stage)) {
			continue
		}
		seen[stage] = true
		all = append(all, v)
	}
	return all
}

// versions are all that a name has, the newest first: those of the job, and those on record
// before.
func (j *job) versions(r *registered) []map[string]any {
	var all []map[string]any
	for i, v := range slices.Backward(r.Versions) {
		if !v.Deleted {
			all = append(all, r.version(i))
		}
	}
	for _, v := range j.record.versions(r.Name) {
		if v.Version <= r.Base {
			all = append(all, j.record.said(r.Name, v))
		}
	}
	return all
}

// noStage is the stage of a version that was never moved to another one.
const noStage = "None"

func (j *job) saidOf(r *registered) map[string]any {
	aliases := []map[string]string{}
	before := j.record.aliases(r.Name)
	for _, name := range sorted(before) {
		if r.Aliases[name] == "" && before[name] <= r.Base {
			aliases = append(aliases, map[string]string{"alias": name, "version": strconv.Itoa(before[name])})
		}
	}
	for _, name := range sorted(r.Aliases) {
		aliases = append(aliases, map[string]string{"alias": name, "version": r.Aliases[name]})
	}
	return map[string]any{
		"name": r.Name, "description": r.Description, "creation_timestamp": r.Created, "last_updated_timestamp": r.Updated,
		"tags": pairs(r.Tags), "aliases": aliases, "latest_versions": j.newest(r, nil),
	}
}

func (r *registered) version(i int) map[string]any {
	v := r.Versions[i]
	number := strconv.Itoa(r.Base + i + 1)
	aliases := []string{}
	for _, name := range sorted(r.Aliases) {
		if r.Aliases[name] == number {
			aliases = append(aliases, name)
		}
	}
	stage := v.Stage
	if stage == "" {
		stage = noStage
	}
	return map[string]any{
		"name": r.Name, "version": number, "creation_timestamp": v.Created, "last_updated_timestamp": v.Updated, "description": v.Description, "source": v.Source,
		"run_id": v.Run, "model_id": v.Model, "status": "READY", "current_stage": stage, "tags": pairs(v.Tags), "aliases": aliases,
	}
}

func (d *desk) registryRoutes(mux *http.ServeMux) {
	d.handle(mux, "POST registered-models/create", does((*job).register))
	d.handle(mux, "GET registered-models/get", does(func(j *job, in registryIn) (any, error) { return j.ofRegistered(in, nil) }))
	d.handle(mux, "GET registered-models/search", does((*job).searchRegistered))
	d.handle(mux, "GET registered-models/get-latest-versions", does((*job).latestVersions))
	d.handle(mux, "POST registered-models/get-latest-versions", does((*job).latestVersions))
	d.handle(mux, "PATCH registered-models/update", changesRegistered(func(r *registered, in registryIn) { r.Description = in.Description }))
	d.handle(mux, "POST registered-models/rename", does((*job).renameRegistered))
	d.handle(mux, "DELETE registered-models/delete", does((*job).deleteRegistered))
	d.handle(mux, "POST registered-models/set-tag", changesRegistered(func(r *registered, in registryIn) { r.Tags[in.Key] = in.Value }))
	d.handle(mux, "DELETE registered-models/delete-tag", changesRegistered(func(r *registered, in registryIn) { delete(r.Tags, in.Key) }))
	d.handle(mux, "POST registered-models/alias", changesRegistered(func(r *registered, in registryIn) { r.Aliases[in.Alias] = in.Version }))
	d.handle(mux, "DELETE registered-models/alias", changesRegistered(func(r *registered, in registryIn) { delete(r.Aliases, in.Alias) }))
	d.handle(mux, "GET registered-models/alias", does((*job).byAlias))
	d.handle(mux, "POST model-versions/create", does((*job).createVersion))
	d.handle(mux, "GET model-versions/get", does(func(j *job, in registryIn) (any, error) { return j.ofVersion(in, nil) }))
	d.handle(mux, "GET model-versions/search", does((*job).searchVersions))
	d.handle(mux, "GET model-versions/get-download-uri", does((*job).downloadURI))
	d.handle(mux, "PATCH model-versions/update", changesVersion(func(v *version, in registryIn) { v.Description = in.Description }))
	d.handle(mux, "DELETE model-versions/delete", changesVersion(func(v *version, _ registryIn) { v.Deleted = true }))
	d.handle(mux, "POST model-versions/transition-stage", changesVersion(func(v *version, in registryIn) { v.Stage = in.Stage }))
	d.handle(mux, "POST model-versions/set-tag", changesVersion(func(v *version, in registryIn) { v.Tags[in.Key] = in.Value }))
	d.handle(mux, "DELETE model-versions/delete-tag", changesVersion(func(v *version, in registryIn) { delete(v.Tags, in.Key) }))
}

type registryIn struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Tags        []pair `json:"tags"`
	Version     string `json:"version"`
	Alias       string `json:"alias"`
	Key         string `json:"key"`
	Value       string `json:"value"`
	Stage       string `json:"stage"`
	Source      string `json:"source"`
	Run         string `json:"run_id"`
	Model       string `json:"model_id"`

	NewName string   `json:"new_name"`
	Stages  []string `json:"stages"`
}

func (j *job) register(in registryIn) (any, error) {
	if old := j.registered[in.Name]; old != nil && !old.Deleted {
		return nil, exists("the model %q is registered already", in.Name)
	}
	r := &registered{Name: in.Name, Description: in.Description, Created: now(), Updated: now(), Tags: table(in.Tags), Base: j.record.newest(in.Name)}
	return map[string]any{"registered_model": j.saidOf(r)}, j.write(change{Registered: r})
}

// own is a registered model that the job may do away with: no version of it is on record.
func (j *job) own(name string) (*registered, error) {
	r, err := j.copied(name)
	if err == nil && r.Base > 0 {
		return nil, invalid("versions of the model %q are on record, and no job takes them away: `amlflow model rm` does", name)
	}
	return r, err
}

func (j *job) deleteRegistered(in registryIn) (any, error) {
	r, err := j.own(in.Name)
	if err != nil {
		return nil, err
	}
	r.Deleted = true
	return nil, j.write(change{Registered: r})
}

// renameRegistered gives a model another name, in one line of the journal.
func (j *job) renameRegistered(in registryIn) (any, error) {
	r, err := j.own(in.Name)
	if err != nil {
		return nil, err
	}
	if old := j.registered[in.NewName]; in.NewName == "" || old != nil && !old.Deleted {
		return nil, exists("the model %q is registered already", in.NewName)
	}
	gone := &registered{Name: in.Name, Deleted: true}
	r.Name = in.NewName
	return map[string]any{"registered_model": j.saidOf(r)}, j.write(change{Registered: r}, change{Registered: gone})
}

// copied is a registered model that may be changed.
func (j *job) copied(name string) (*registered, error) {
	old := j.registered[name]
	if n := j.record.newest(name); old == nil && n > 0 {
		old = &registered{Name: name, Created: now(), Base: n}
	}
	if old == nil || old.Deleted {
		return nil, missing("no model %q is registered: not by this job, and by none before that has ended well", name)
	}
	r := *old
	r.Updated = now()
	r.Tags, r.Aliases, r.Versions = table(pairs(old.Tags)), table(pairs(old.Aliases)), slices.Clone(old.Versions)
	return &r, nil
}

func (j *job) ofRegistered(in registryIn, do func(r *registered, in registryIn)) (any, error) {
	r, err := j.copied(in.Name)
	if err != nil {
		return nil, err
	}
	if do != nil {
		do(r, in)
		if err := j.write(change{Registered: r}); err != nil {
			return nil, err
		}
	}
	return map[string]any{"registered_model": j.saidOf(r)}, nil
}

func changesRegistered(do func(r *registered, in registryIn)) answer {
	return does(func(j *job, in registryIn) (any, error) { return j.ofRegistered(in, do) })
}

func (j *job) ofVersion(in registryIn, do func(v *version, in registryIn)) (any, error) {
	r, err := j.copied(in.Name)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(in.Version)
	if err == nil && n <= r.Base {
		return j.ofRecord(in.Name, n, do != nil)
	}
	n -= r.Base
	if err != nil || n < 1 || n > len(r.Versions) || r.Versions[n-1].Deleted {
		return nil, missing("the model %q has no version %q", in.Name, in.Version)
	}
	if do != nil {
		v := &r.Versions[n-1]
		v.Tags, v.Updated = table(pairs(v.Tags)), now()
		do(v, in)
		if err := j.write(change{Registered: r}); err != nil {
			return nil, err
		}
	}
	return map[string]any{"model_version": r.version(n - 1)}, nil
}

// ofRecord is a version on record, which a job does not change.
func (j *job) ofRecord(name string, n int, change bool) (any, error) {
	v, ok := j.record.version(name, n)
	switch {
	case !ok:
		return nil, missing("the model %q has no version %d", name, n)
	case change:
		return nil, invalid("%s is on record, and no job changes what is: `amlflow model promote %s --label staging`, say, gives it a label, and `amlflow model rm %s` removes it", v.Reference(), v.Reference(), v.Reference())
	}
	return map[string]any{"model_version": j.record.said(name, v)}, nil
}

func changesVersion(do func(v *version, in registryIn)) answer {
	return does(func(j *job, in registryIn) (any, error) { return j.ofVersion(in, do) })
}

func (j *job) createVersion(in registryIn) (any, error) {
	r, err := j.copied(in.Name)
	if err != nil {
		return nil, err
	}
	r.Versions = append(r.Versions, version{Description: in.Description, Created: now(), Updated: now(), Source: in.Source, Run: in.Run, Model: in.Model, Tags: table(in.Tags)})
	return map[string]any{"model_version": r.version(len(r.Versions) - 1)}, j.write(change{Registered: r})
}

func (j *job) byAlias(in registryIn) (any, error) {
	if r := j.registered[in.Name]; r != nil {
		in.Version = r.Aliases[in.Alias]
	}
	before := j.record.aliases(in.Name)
	if n := before[in.Alias]; in.Version == "" && n > 0 {
		in.Version = strconv.Itoa(n)
	}
	if in.Version == "" {
		if _, err := j.copied(in.Name); err != nil {
			return nil, err
		}
		return nil, missing("no version of the model %q has the alias %q%s", in.Name, in.Alias, hint(sorted(before)))
	}
	return j.ofVersion(in, nil)
}

func (j *job) downloadURI(in registryIn) (any, error) {
	found, err := j.ofVersion(in, nil)
	if err != nil {
		return nil, err
	}
	source, _ := found.(map[string]any)["model_version"].(map[string]any)["source"].(string)
	return map[string]string{"artifact_uri": source}, nil
}

func (j *job) latestVersions(in registryIn) (any, error) {
	r, err := j.copied(in.Name)
	if err != nil {
		return nil, err
	}
	for i, s := range in.Stages {
		in.Stages[i] = strings.ToLower(s)
	}
	return map[string]any{"model_versions": j.newest(r, in.Stages)}, nil
}

func (j *job) searchRegistered(in search) (any, error) {
	found, next, err := matching(in, j.names(), func(r *registered, kind, key string) any {
		switch {
		case kind == "tag":
			return registryTag(r.Tags, key)
		case key == "name":
			return r.Name
		case key == "creation_timestamp":
			return float64(r.Created)
		case key == "last_updated_timestamp", key == "timestamp":
			return float64(r.Updated)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	said := make([]map[string]any, len(found))
	for i, r := range found {
		said[i] = j.saidOf(r)
	}
	return page("registered_models", said, next), nil
}

// names are all that models are registered under, sorted: by the job, and before it.
func (j *job) names() []*registered {
	own := map[string]bool{}
	var all []*registered
	for _, name := range sorted(j.registered) {
		own[registry.NameOf(name)] = true
		if r := j.registered[name]; !r.Deleted {
			all = append(all, r)
		}
	}
	if j.record.blobs != nil {
		before, _ := j.record.models.Names()
		for _, name := range before {
			if n := j.record.newest(name); n > 0 && !own[name] {
				all = append(all, &registered{Name: name, Base: n})
			}
		}
	}
	slices.SortFunc(all, func(a, b *registered) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// hint says what there is instead.
func hint(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": there are " + strings.Join(names, ", ")
}

func (j *job) searchVersions(in search) (any, error) {
	all := []map[string]any{}
	for _, r := range j.names() {
		all = append(all, j.versions(r)...)
	}
	found, next, err := matching(in, all, func(v map[string]any, kind, key string) any {
		switch {
		case kind == "tag":
			return registryTag(table(v["tags"].([]pair)), key)
		case key == "version_number", key == "version":
			n, _ := strconv.ParseFloat(v["version"].(string), 64)
			return n
		case key == "source_path":
			return v["source"]
		case key == "creation_timestamp", key == "last_updated_timestamp":
			return float64(v[key].(whole))
		}
		return v[key]
	})
	if err != nil {
		return nil, err
	}
	return page("model_versions", orNone(found), next), nil
}

// promptTag marks what is a prompt and no model; the client looks for either by it, and
// expects models to be found that have no such tag.
const promptTag = "mlflow.prompt.is_prompt"

func registryTag(tags map[string]string, key string) any {
	if v := textOf(tags, key); v != nil || key != promptTag {
		return v
	}
	return "false"
}
