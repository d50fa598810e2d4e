package tracking

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// The tags that mean something to us.
const (
	tagName   = "mlflow.runName"
	tagParent = "mlflow.parentRunId"
	tagModels = "mlflow.log-model.history"
)

// runInfo is what a run is, without what it has logged.
type runInfo struct {
	ID         string `json:"run_id"`
	Experiment string `json:"experiment_id"`
	Name       string `json:"run_name"`
	User       string `json:"user_id"`
	Status     string `json:"status"`
	Start      whole  `json:"start_time"`
	End        whole  `json:"end_time,omitempty"`
	Stage      string `json:"lifecycle_stage"`
	// Parent is the run that this one is a part of. Metrics of parts are no metrics of
	// the stage.
	Parent string `json:"parent,omitempty"`
}

func (i runInfo) nested() bool { return i.Parent != "" }

// run is one run of a job's.
type run struct {
	info     runInfo
	params   map[string]string
	tags     map[string]string
	metrics  map[string][]point // in the order in which they were logged
	datasets []dataset
	models   []json.RawMessage // that it was given
	outputs  []json.RawMessage // models that it gave
}

// dataset is a data set that a run was given.
type dataset struct {
	Dataset struct {
		Name   string `json:"name"`
		Digest string `json:"digest"`
		Type   string `json:"source_type,omitempty"`
		Source string `json:"source,omitempty"`
		Schema string `json:"schema,omitempty"`
		// Profile has sizes.
		Profile string `json:"profile,omitempty"`
	} `json:"dataset"`
	Tags []pair `json:"tags,omitempty"`
}

// linked are data sets and models that a run was given, or gave.
type linked struct {
	Run      string            `json:"run_id"`
	Datasets []dataset         `json:"datasets,omitempty"`
	Models   []json.RawMessage `json:"models,omitempty"`
	Outputs  []json.RawMessage `json:"outputs,omitempty"`
}

func (r *run) link(l linked) {
	for _, d := range l.Datasets {
		same := func(o dataset) bool {
			return o.Dataset.Name == d.Dataset.Name && o.Dataset.Digest == d.Dataset.Digest
		}
		if !slices.ContainsFunc(r.datasets, same) {
			r.datasets = append(r.datasets, d)
		}
	}
	r.models = addNew(r.models, l.Models)
	r.outputs = addNew(r.outputs, l.Outputs)
}

// addNew adds what is not there already: a request may come twice.
func addNew(have, more []json.RawMessage) []json.RawMessage {
	for _, m := range more {
		if !slices.ContainsFunc(have, func(o json.RawMessage) bool { return string(o) == string(m) }) {
			have = append(have, m)
		}
	}
	return have
}

func (s *state) applyRun(i runInfo) {
	r := s.runs[i.ID]
	if r == nil {
		r = &run{params: map[string]string{}, tags: map[string]string{}, metrics: map[string][]point{}}
		s.runs[i.ID] = r
		s.order = append(s.order, r)
	}
	r.info = i
}

func artifactsOf(kind, id string) string { return "mlflow-artifacts:/" + kind + "/" + id }

// said is a run as the client reads it.
func (r *run) said() map[string]any {
	i := r.info
	info := map[string]any{
		"run_id": i.ID, "run_uuid": i.ID, "experiment_id": i.Experiment, "run_name": i.Name, "user_id": i.User, "status": i.Status,
		"start_time": i.Start, "artifact_uri": artifactsOf("runs", i.ID), "lifecycle_stage": i.Stage,
	}
	if i.End != 0 {
		info["end_time"] = i.End
	}
	metrics := make([]map[string]any, 0, len(r.metrics))
	for _, key := range sorted(r.metrics) {
		metrics = append(metrics, latest(r.metrics[key]).said())
	}
	return map[string]any{
		"info":    info,
		"data":    map[string]any{"metrics": metrics, "params": pairs(r.params), "tags": pairs(r.tags)},
		"inputs":  map[string]any{"dataset_inputs": orNone(r.datasets), "model_inputs": orNone(r.models)},
		"outputs": map[string]any{"model_outputs": orNone(r.outputs)},
	}
}

func orNone[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func (d *desk) runRoutes(mux *http.ServeMux) {
	d.handle(mux, "POST runs/create", does((*job).createRun))
	d.handle(mux, "GET runs/get", does((*job).getRun))
	d.handle(mux, "POST runs/update", does((*job).updateRun))
	d.handle(mux, "POST runs/delete", does(func(j *job, in runIn) (any, error) { return j.stageRun(in, deleted) }))
	d.handle(mux, "POST runs/restore", does(func(j *job, in runIn) (any, error) { return j.stageRun(in, active) }))
	d.handle(mux, "POST runs/log-parameter", does((*job).logParam))
	d.handle(mux, "POST runs/set-tag", does((*job).setTag))
	d.handle(mux, "POST runs/delete-tag", does((*job).deleteTag))
	d.handle(mux, "POST runs/log-batch", does((*job).logBatch))
	d.handle(mux, "POST runs/log-model", does((*job).logModel))
	d.handle(mux, "POST runs/log-inputs", does((*job).logInputs))
	d.handle(mux, "POST runs/outputs", does((*job).logOutputs))
	d.handle(mux, "POST runs/search", does((*job).searchRuns))
}

// runIn names a run, in the words of today's clients or of older ones.
type runIn struct {
	RunID   string `json:"run_id"`
	RunUUID string `json:"run_uuid"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

func (in runIn) id() string {
	if in.RunID != "" {
		return in.RunID
	}
	return in.RunUUID
}

func (j *job) run(id string) (*run, error) {
	if r := j.runs[id]; r != nil {
		return r, nil
	}
	return nil, missing("this job has no run %q: it sees only what it has logged itself", id)
}

// newID is a name as MLflow makes them: 32 hex digits.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

func (j *job) createRun(in struct {
	Experiment string `json:"experiment_id"`
	User       string `json:"user_id"`
	Name       string `json:"run_name"`
	Start      whole  `json:"start_time"`
	Tags       []pair `json:"tags"`
}) (any, error) {
	if in.Experiment == "" {
		in.Experiment = defaultExperiment
	}
	if _, err := j.experiment(in.Experiment); err != nil {
		return nil, err
	}
	tags := table(in.Tags)
	i := runInfo{ID: newID(), Experiment: in.Experiment, Name: in.Name, User: in.User, Status: "RUNNING", Start: in.Start, Stage: active, Parent: tags[tagParent]}
	if i.Start == 0 {
		i.Start = now()
	}
	if i.Name == "" {
		i.Name = tags[tagName]
	}
	if i.Name == "" {
		i.Name = fmt.Sprintf("run-%d", len(j.order)+1)
	}
	tags[tagName] = i.Name
	all := []change{{Run: &i}}
	for _, key := range sorted(tags) {
		all = append(all, change{Tag: &entry{i.ID, key, tags[key]}})
	}
	if err := j.write(all...); err != nil {
		return nil, err
	}
	return map[string]any{"run": j.runs[i.ID].said()}, nil
}

func (j *job) getRun(in runIn) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	return map[string]any{"run": r.said()}, nil
}

func (j *job) updateRun(in struct {
	runIn
	Status json.RawMessage `json:"status"`
	End    whole           `json:"end_time"`
	Name   string          `json:"run_name"`
}) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	i := r.info
	if s := statusOf(in.Status); s != "" {
		i.Status = s
	}
	if in.End != 0 {
		i.End = in.End
	}
	all := []change{{Run: &i}}
	if in.Name != "" {
		i.Name = in.Name
		all = append(all, change{Tag: &entry{i.ID, tagName, in.Name}})
	}
	if err := j.write(all...); err != nil {
		return nil, err
	}
	return map[string]any{"run_info": r.said()["info"]}, nil
}

// statusOf reads a status by its name or by its number in the protocol.
func statusOf(text json.RawMessage) string {
	var name string
	if json.Unmarshal(text, &name) == nil {
		return name
	}
	var n int
	names := []string{"", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}
	if json.Unmarshal(text, &n) == nil && n >= 0 && n < len(names) {
		return names[n]
	}
	return ""
}

func (j *job) stageRun(in runIn, stage string) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	i := r.info
	i.Stage = stage
	return nil, j.write(change{Run: &i})
}

// newParams are those that are not there yet. A param never changes.
func (r *run) newParams(all []pair) ([]change, error) {
	var more []change
	for _, p := range all {
		old, ok := r.params[p.Key]
		switch {
		case ok && old != p.Value:
			return nil, invalid("the param %q of run %q is %q already, and cannot become %q: log it under another name, or in another run", p.Key, r.info.ID, old, p.Value)
		case p.Key == "":
			return nil, invalid("a param has a name")
		case !ok:
			more = append(more, change{Param: &entry{r.info.ID, p.Key, p.Value}})
		}
	}
	return more, nil
}

func (j *job) logParam(in runIn) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	more, err := r.newParams([]pair{{in.Key, in.Value}})
	if err != nil {
		return nil, err
	}
	return nil, j.write(more...)
}

// tagged is what a tag changes: one of them is the name.
func (r *run) tagged(key, value string) []change {
	all := []change{{Tag: &entry{r.info.ID, key, value}}}
	if key == tagName {
		i := r.info
		i.Name = value
		all = append(all, change{Run: &i})
	}
	return all
}

func (j *job) setTag(in runIn) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	return nil, j.write(r.tagged(in.Key, in.Value)...)
}

func (j *job) deleteTag(in runIn) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	if _, ok := r.tags[in.Key]; !ok {
		return nil, missing("run %q has no tag %q", r.info.ID, in.Key)
	}
	return nil, j.write(change{Untag: &entry{Run: r.info.ID, Key: in.Key}})
}

// logBatch writes params and tags first and metrics then: a batch that comes again after
// we died between the two changes nothing that is there.
func (j *job) logBatch(in struct {
	runIn
	Metrics []point `json:"metrics"`
	Params  []pair  `json:"params"`
	Tags    []pair  `json:"tags"`
}) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	all, err := r.newParams(in.Params)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		all = append(all, r.tagged(t.Key, t.Value)...)
	}
	if err := j.write(all...); err != nil {
		return nil, err
	}
	return nil, j.logPoints(r, in.Metrics)
}

// logModel keeps what older clients say of a model, in a tag, as MLflow does.
func (j *job) logModel(in struct {
	runIn
	Model string `json:"model_json"`
}) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	_ = json.Unmarshal([]byte(r.tags[tagModels]), &all)
	if !json.Valid([]byte(in.Model)) {
		return nil, invalid("the model is described in no JSON")
	}
	text, err := json.Marshal(addNew(all, []json.RawMessage{json.RawMessage(in.Model)}))
	if err != nil {
		return nil, err
	}
	return nil, j.write(change{Tag: &entry{r.info.ID, tagModels, string(text)}})
}

func (j *job) logInputs(in linked) (any, error) {
	if _, err := j.run(in.Run); err != nil {
		return nil, err
	}
	in.Outputs = nil
	return nil, j.write(change{Linked: &in})
}

func (j *job) logOutputs(in linked) (any, error) {
	if _, err := j.run(in.Run); err != nil {
		return nil, err
	}
	return nil, j.write(change{Linked: &linked{Run: in.Run, Outputs: in.Models}})
}

func (j *job) searchRuns(in search) (any, error) {
	var found []*run
	for _, r := range slices.Backward(j.order) { // the newest first
		if in.views(r.info.Stage) && (len(in.IDs) == 0 || slices.Contains(in.IDs, r.info.Experiment)) {
			found = append(found, r)
		}
	}
	found, next, err := matching(in, found, (*run).field)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]any, len(found))
	for i, r := range found {
		all[i] = r.said()
	}
	return page("runs", all, next), nil
}

// field is what a search may ask of a run.
func (r *run) field(kind, key string) any {
	switch kind {
	case "metric":
		if all := r.metrics[key]; len(all) > 0 {
			return float64(latest(all).Value)
		}
		return nil
	case "param":
		return textOf(r.params, key)
	case "tag":
		return textOf(r.tags, key)
	case "dataset":
		return r.ofDatasets(key)
	}
	i := r.info
	switch key {
	case "status":
		return i.Status
	case "run_id":
		return i.ID
	case "run_name", "Run name", "name":
		return i.Name
	case "user_id", "user":
		return i.User
	case "artifact_uri":
		return artifactsOf("runs", i.ID)
	case "start_time", "created":
		return float64(i.Start)
	case "end_time":
		return float64(i.End)
	}
	return nil
}

// ofDatasets are what is said of the data sets of a run under a key.
func (r *run) ofDatasets(key string) []string {
	all := []string{}
	for _, d := range r.datasets {
		switch key {
		case "name":
			all = append(all, d.Dataset.Name)
		case "digest":
			all = append(all, d.Dataset.Digest)
		case "context":
			all = append(all, table(d.Tags)["mlflow.data.context"])
		}
	}
	return all
}
