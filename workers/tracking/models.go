package tracking

import (
	"net/http"
	"slices"
	"strings"
)

// model is a logged model: what newer clients make of a model that is logged.
type model struct {
	ID         string            `json:"model_id"`
	Experiment string            `json:"experiment_id"`
	Name       string            `json:"name"`
	Type       string            `json:"model_type,omitempty"`
	Source     string            `json:"source_run_id,omitempty"`
	Status     string            `json:"status"`
	Created    whole             `json:"created"`
	Updated    whole             `json:"updated"`
	Params     map[string]string `json:"params,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Deleted    bool              `json:"deleted,omitempty"`
}

func (s *state) applyModel(m *model) {
	old := s.models[m.ID]
	s.models[m.ID] = m
	if old == nil {
		s.modelOrder = append(s.modelOrder, m)
		return
	}
	s.modelOrder[slices.Index(s.modelOrder, old)] = m
}

// said is a model as the client reads it.
func (s *state) said(m *model) map[string]any {
	metrics := []map[string]any{}
	if r := s.runs[m.Source]; r != nil {
		for _, key := range sorted(r.metrics) {
			for _, p := range r.metrics[key] {
				if p.Model == m.ID {
					said := p.said()
					said["run_id"] = m.Source
					metrics = append(metrics, said)
				}
			}
		}
	}
	return map[string]any{
		"info": map[string]any{
			"model_id": m.ID, "experiment_id": m.Experiment, "name": m.Name, "model_type": m.Type, "source_run_id": m.Source, "status": m.Status,
			"creation_timestamp_ms": m.Created, "last_updated_timestamp_ms": m.Updated, "artifact_uri": artifactsOf("models", m.ID), "tags": pairs(m.Tags),
		},
		"data": map[string]any{"params": pairs(m.Params), "metrics": metrics},
	}
}

func (d *desk) modelRoutes(mux *http.ServeMux) {
	d.handle(mux, "POST logged-models", does((*job).createModel))
	d.handle(mux, "POST logged-models/search", does((*job).searchModels))
	d.handle(mux, "GET logged-models/{id}", func(q query) (any, error) { return q.job.ofModel(q.PathValue("id"), nil) })
	d.handle(mux, "PATCH logged-models/{id}", changesModel(func(m *model, in modelIn) { m.Status = statusOfModel(in.Status) }))
	d.handle(mux, "DELETE logged-models/{id}", changesModel(func(m *model, _ modelIn) { m.Deleted = true }))
	d.handle(mux, "PATCH logged-models/{id}/tags", changesModel(func(m *model, in modelIn) { add(m.Tags, in.Tags) }))
	d.handle(mux, "POST logged-models/{id}/params", changesModel(func(m *model, in modelIn) { add(m.Params, in.Params) }))
	d.handle(mux, "DELETE logged-models/{id}/tags/{key}", func(q query) (any, error) {
		return q.job.ofModel(q.PathValue("id"), func(m *model) { delete(m.Tags, q.PathValue("key")) })
	})
	d.handle(mux, "GET logged-models/{id}/artifacts/directories", func(q query) (any, error) {
		if _, err := q.job.ofModel(q.PathValue("id"), nil); err != nil {
			return nil, err
		}
		return q.job.listed(artifactsOf("models", q.PathValue("id")), "models/"+q.PathValue("id"), q.URL.Query().Get("artifact_directory_path"))
	})
}

type modelIn struct {
	Experiment string `json:"experiment_id"`
	Name       string `json:"name"`
	Type       string `json:"model_type"`
	Source     string `json:"source_run_id"`
	Status     any    `json:"status"`
	Params     []pair `json:"params"`
	Tags       []pair `json:"tags"`
}

func add(m map[string]string, all []pair) {
	for _, p := range all {
		m[p.Key] = p.Value
	}
}

// statusOfModel reads a status by its name or by its number in the protocol.
func statusOfModel(v any) string {
	names := []string{"LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"}
	switch x := v.(type) {
	case string:
		return x
	case float64:
		if x >= 0 && int(x) < len(names) {
			return names[int(x)]
		}
	}
	return names[0]
}

func (j *job) createModel(in modelIn) (any, error) {
	if in.Experiment == "" {
		in.Experiment = defaultExperiment
	}
	if _, err := j.experiment(in.Experiment); err != nil {
		return nil, err
	}
	m := &model{ID: "m-" + newID(), Experiment: in.Experiment, Name: in.Name, Type: in.Type, Source: in.Source, Status: "LOGGED_MODEL_PENDING", Created: now(), Updated: now(), Params: table(in.Params), Tags: table(in.Tags)}
	if m.Name == "" {
		m.Name = "model"
	}
	if err := j.write(change{Model: m}); err != nil {
		return nil, err
	}
	return map[string]any{"model": j.said(m)}, nil
}

// ofModel answers with a model, after something was done to it.
func (j *job) ofModel(id string, do func(m *model)) (any, error) {
	m := j.models[id]
	if m == nil || m.Deleted {
		return nil, missing("this job has no model %q: it sees only what it has logged itself", id)
	}
	if do != nil {
		copied := *m
		copied.Params, copied.Tags = table(pairs(m.Params)), table(pairs(m.Tags))
		copied.Updated = now()
		do(&copied)
		if err := j.write(change{Model: &copied}); err != nil {
			return nil, err
		}
		m = &copied
	}
	return map[string]any{"model": j.said(m)}, nil
}

func changesModel(do func(m *model, in modelIn)) answer {
	return func(q query) (any, error) {
		var in modelIn
		if err := q.read(&in); err != nil {
			return nil, err
		}
		return q.job.ofModel(q.PathValue("id"), func(m *model) { do(m, in) })
	}
}

func (j *job) searchModels(in struct {
	IDs    []string `json:"experiment_ids"`
	Filter string   `json:"filter"`
	Max    whole    `json:"max_results"`
	Token  string   `json:"page_token"`
	Order  []struct {
		Field string `json:"field_name"`
		Up    *bool  `json:"ascending"`
	} `json:"order_by"`
}) (any, error) {
	q := search{Filter: in.Filter, Max: in.Max, Token: in.Token}
	for _, o := range in.Order {
		if o.Up != nil && !*o.Up {
			o.Field += " DESC"
		}
		q.Order = append(q.Order, o.Field)
	}
	var found []*model
	for _, m := range slices.Backward(j.modelOrder) {
		if !m.Deleted && (len(in.IDs) == 0 || slices.Contains(in.IDs, m.Experiment)) {
			found = append(found, m)
		}
	}
	found, next, err := matching(q, found, j.modelField)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]any, len(found))
	for i, m := range found {
		all[i] = j.said(m)
	}
	return page("models", all, next), nil
}

func (j *job) modelField(m *model, kind, key string) any {
	switch kind {
	case "param":
		return textOf(m.Params, key)
	case "tag":
		return textOf(m.Tags, key)
	case "metric":
		if r := j.runs[m.Source]; r != nil {
			return r.field(kind, key)
		}
		return nil
	}
	switch key {
	case "name":
		return m.Name
	case "model_id":
		return m.ID
	case "model_type":
		return m.Type
	case "source_run_id":
		return m.Source
	case "status":
		return strings.TrimPrefix(m.Status, "LOGGED_MODEL_")
	case "creation_time", "creation_timestamp":
		return float64(m.Created)
	case "last_updated_timestamp":
		return float64(m.Updated)
	}
	return nil
}
