package tracking

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// registered is a name under which a job registers versions of models. It is the job's
// own: which models a team has is not said here.
type registered struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Created     whole             `json:"creation_timestamp"`
	Updated     whole             `json:"last_updated_timestamp"`
	Tags        map[string]string `json:"tags,omitempty"`
	Aliases     map[string]string `json:"aliases,omitempty"` // to the number of a version
	Versions    []version         `json:"versions,omitempty"`
	Deleted     bool              `json:"deleted,omitempty"`
}

// version is one of them. They are counted from 1.
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
func (r *registered) newest(stages []string) []map[string]any {
	all, seen := []map[string]any{}, map[string]bool{}
	for i := range slices.Backward(r.Versions) {
		v := r.Versions[i]
		stage := v.Stage
		if len(stages) == 0 {
			stage = ""
		} else if stage == "" {
			stage = noStage
		}
		if v.Deleted || seen[stage] || len(stages) > 0 && !slices.Contains(stages, strings.ToLower(stage)) {
			continue
		}
		seen[stage] = true
		all = append(all, r.version(i))
	}
	return all
}

// noStage is the stage of a version that was never moved to another one.
const noStage = "None"

func (r *registered) said() map[string]any {
	aliases := []map[string]string{}
	for _, name := range sorted(r.Aliases) {
		aliases = append(aliases, map[string]string{"alias": name, "version": r.Aliases[name]})
	}
	return map[string]any{
		"name": r.Name, "description": r.Description, "creation_timestamp": r.Created, "last_updated_timestamp": r.Updated,
		"tags": pairs(r.Tags), "aliases": aliases, "latest_versions": r.newest(nil),
	}
}

func (r *registered) version(i int) map[string]any {
	v := r.Versions[i]
	number := strconv.Itoa(i + 1)
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
	d.handle(mux, "DELETE registered-models/delete", changesRegistered(func(r *registered, _ registryIn) { r.Deleted = true }))
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
	r := &registered{Name: in.Name, Description: in.Description, Created: now(), Updated: now(), Tags: table(in.Tags)}
	return map[string]any{"registered_model": r.said()}, j.write(change{Registered: r})
}

// renameRegistered gives a model another name, in one line of the journal.
func (j *job) renameRegistered(in registryIn) (any, error) {
	r, err := j.copied(in.Name)
	if err != nil {
		return nil, err
	}
	if old := j.registered[in.NewName]; in.NewName == "" || old != nil && !old.Deleted {
		return nil, exists("the model %q is registered already", in.NewName)
	}
	gone := &registered{Name: in.Name, Deleted: true}
	r.Name = in.NewName
	return map[string]any{"registered_model": r.said()}, j.write(change{Registered: r}, change{Registered: gone})
}

// copied is a registered model that may be changed.
func (j *job) copied(name string) (*registered, error) {
	old := j.registered[name]
	if old == nil || old.Deleted {
		return nil, missing("this job has registered no model %q: it sees only what it has logged itself", name)
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
	return map[string]any{"registered_model": r.said()}, nil
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
	return j.ofVersion(in, nil)
}

func (j *job) downloadURI(in registryIn) (any, error) {
	if _, err := j.ofVersion(in, nil); err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(in.Version)
	return map[string]string{"artifact_uri": j.registered[in.Name].Versions[n-1].Source}, nil
}

func (j *job) latestVersions(in registryIn) (any, error) {
	r, err := j.copied(in.Name)
	if err != nil {
		return nil, err
	}
	for i, s := range in.Stages {
		in.Stages[i] = strings.ToLower(s)
	}
	return map[string]any{"model_versions": r.newest(in.Stages)}, nil
}

func (j *job) searchRegistered(in search) (any, error) {
	var all []*registered
	for _, name := range sorted(j.registered) {
		if r := j.registered[name]; !r.Deleted {
			all = append(all, r)
		}
	}
	found, next, err := matching(in, all, func(r *registered, kind, key string) any {
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
		said[i] = r.said()
	}
	return page("registered_models", said, next), nil
}

func (j *job) searchVersions(in search) (any, error) {
	all := []map[string]any{}
	for _, name := range sorted(j.registered) {
		for i, v := range slices.Backward(j.registered[name].Versions) { // the newest first
			if !j.registered[name].Deleted && !v.Deleted {
				all = append(all, j.registered[name].version(i))
			}
		}
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
