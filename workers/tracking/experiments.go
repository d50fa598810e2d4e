package tracking

import (
	"net/http"
	"slices"
	"strconv"
)

// What is not deleted, and what is.
const (
	active  = "active"
	deleted = "deleted"
)

// defaultExperiment is where runs are that name no experiment.
const defaultExperiment = "0"

// experiment is a group of runs, of one job.
type experiment struct {
	ID      string            `json:"experiment_id"`
	Name    string            `json:"name"`
	Stage   string            `json:"lifecycle_stage"`
	Created whole             `json:"creation_time"`
	Updated whole             `json:"last_update_time"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// said is the experiment as the client reads it.
func (e *experiment) said() map[string]any {
	return map[string]any{
		"experiment_id": e.ID, "name": e.Name, "lifecycle_stage": e.Stage, "artifact_location": "mlflow-artifacts:/experiments/" + e.ID,
		"creation_time": e.Created, "last_update_time": e.Updated, "tags": pairs(e.Tags),
	}
}

// pair is a name and a value, as the client reads params and tags.
type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func pairs(m map[string]string) []pair {
	all := make([]pair, 0, len(m))
	for _, key := range sorted(m) {
		all = append(all, pair{key, m[key]})
	}
	return all
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (d *desk) experimentRoutes(mux *http.ServeMux) {
	d.handle(mux, "POST experiments/create", does((*job).createExperiment))
	d.handle(mux, "GET experiments/get", does((*job).getExperiment))
	d.handle(mux, "GET experiments/get-by-name", does((*job).experimentByName))
	d.handle(mux, "POST experiments/search", does((*job).searchExperiments))
	d.handle(mux, "GET experiments/search", does((*job).searchExperiments))
	d.handle(mux, "GET experiments/list", does((*job).searchExperiments))
	d.handle(mux, "POST experiments/update", does((*job).updateExperiment))
	d.handle(mux, "POST experiments/delete", does(func(j *job, in experimentIn) (any, error) { return j.stageExperiment(in, deleted) }))
	d.handle(mux, "POST experiments/restore", does(func(j *job, in experimentIn) (any, error) { return j.stageExperiment(in, active) }))
	d.handle(mux, "POST experiments/set-experiment-tag", does((*job).tagExperiment))
	d.handle(mux, "POST experiments/delete-experiment-tag", does((*job).untagExperiment))
	d.handle(mux, "POST experiments/search-datasets", does((*job).searchDatasets))
}

type experimentIn struct {
	ID      string `json:"experiment_id"`
	Name    string `json:"experiment_name"`
	NewName string `json:"new_name"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

func (j *job) createExperiment(in struct {
	Name string `json:"name"`
	Tags []pair `json:"tags"`
}) (any, error) {
	if in.Name == "" {
		return nil, invalid("an experiment has a name")
	}
	if e := j.named(in.Name); e != nil {
		return nil, exists("the experiment %q is there already", in.Name)
	}
	e := &experiment{ID: strconv.Itoa(len(j.experiments)), Name: in.Name, Stage: active, Created: now(), Updated: now(), Tags: table(in.Tags)}
	return map[string]string{"experiment_id": e.ID}, j.write(change{Experiment: e})
}

func table(all []pair) map[string]string {
	m := make(map[string]string, len(all))
	for _, p := range all {
		m[p.Key] = p.Value
	}
	return m
}

func (j *job) named(name string) *experiment {
	for _, e := range j.experiments {
		if e.Name == name {
			return e
		}
	}
	return nil
}

func (j *job) experiment(id string) (*experiment, error) {
	if e := j.experiments[id]; e != nil {
		return e, nil
	}
	return nil, missing("this job has no experiment %q: it sees only what it has logged itself", id)
}

func (j *job) getExperiment(in experimentIn) (any, error) {
	e, err := j.experiment(in.ID)
	if err != nil {
		return nil, err
	}
	return map[string]any{"experiment": e.said()}, nil
}

func (j *job) experimentByName(in experimentIn) (any, error) {
	e := j.named(in.Name)
	if e == nil {
		return nil, missing("this job has no experiment named %q", in.Name)
	}
	return map[string]any{"experiment": e.said()}, nil
}

func (j *job) searchExperiments(in search) (any, error) {
	var found []*experiment
	for _, id := range sorted(j.experiments) {
		if e := j.experiments[id]; in.views(e.Stage) {
			found = append(found, e)
		}
	}
	slices.Reverse(found) // the newest first
	found, next, err := matching(in, found, (*experiment).field)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]any, len(found))
	for i, e := range found {
		all[i] = e.said()
	}
	return page("experiments", all, next), nil
}

func (e *experiment) field(kind, key string) any {
	switch {
	case kind == "tag":
		return textOf(e.Tags, key)
	case key == "name":
		return e.Name
	case key == "creation_time":
		return float64(e.Created)
	case key == "last_update_time":
		return float64(e.Updated)
	case key == "experiment_id":
		return e.ID
	}
	return nil
}

func textOf(m map[string]string, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return nil
}

// changed puts an experiment on record after something was done to a copy of it.
func (j *job) changed(id string, do func(e *experiment)) (any, error) {
	old, err := j.experiment(id)
	if err != nil {
		return nil, err
	}
	e := *old
	e.Tags = table(pairs(old.Tags))
	e.Updated = now()
	do(&e)
	return nil, j.write(change{Experiment: &e})
}

func (j *job) updateExperiment(in experimentIn) (any, error) {
	return j.changed(in.ID, func(e *experiment) { e.Name = in.NewName })
}

func (j *job) stageExperiment(in experimentIn, stage string) (any, error) {
	return j.changed(in.ID, func(e *experiment) { e.Stage = stage })
}

func (j *job) tagExperiment(in experimentIn) (any, error) {
	return j.changed(in.ID, func(e *experiment) { e.Tags[in.Key] = in.Value })
}

func (j *job) untagExperiment(in experimentIn) (any, error) {
	return j.changed(in.ID, func(e *experiment) { delete(e.Tags, in.Key) })
}

// searchDatasets lists the data sets that runs were given.
func (j *job) searchDatasets(in struct {
	IDs []string `json:"experiment_ids"`
}) (any, error) {
	seen, all := map[string]bool{}, []any{}
	for _, r := range j.order {
		for _, d := range r.datasets {
			if key := r.info.Experiment + d.Dataset.Name + " " + d.Dataset.Digest; slices.Contains(in.IDs, r.info.Experiment) && !seen[key] {
				seen[key] = true
				all = append(all, map[string]string{"experiment_id": r.info.Experiment, "name": d.Dataset.Name, "digest": d.Dataset.Digest})
			}
		}
	}
	return map[string]any{"dataset_summaries": all}, nil
}
