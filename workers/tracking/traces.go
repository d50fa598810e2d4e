package tracking

import (
	"encoding/json"
	"net/http"
)

// trace is what a client says of a trace. We keep it as it is said; its spans are files.
type trace struct {
	ID   string          `json:"id"`
	Info json.RawMessage `json:"info"`
}

func (d *desk) traceRoutes(mux *http.ServeMux) {
	d.handle(mux, "POST traces", does((*job).startTrace))
	d.handle(mux, "GET traces/{id}", func(q query) (any, error) {
		info := q.job.traces[q.PathValue("id")]
		if info == nil {
			return nil, missing("this job has no trace %q", q.PathValue("id"))
		}
		return map[string]any{"trace": map[string]any{"trace_info": info}}, nil
	})
	d.handle(mux, "POST traces/search", func(q query) (any, error) {
		all := []json.RawMessage{}
		for _, id := range sorted(q.job.traces) {
			all = append(all, q.job.traces[id])
		}
		return map[string]any{"traces": all}, nil
	})
	d.handle(mux, "PATCH traces/{id}/tags", func(q query) (any, error) {
		var in pair
		if err := q.read(&in); err != nil {
			return nil, err
		}
		return nil, q.job.retag(q.PathValue("id"), func(tags map[string]any) { tags[in.Key] = in.Value })
	})
	d.handle(mux, "POST traces/link-to-run", func(query) (any, error) { return nil, nil })
}

// startTrace keeps a trace, and tells where its spans go.
func (j *job) startTrace(in struct {
	Trace struct {
		Info map[string]any `json:"trace_info"`
	} `json:"trace"`
}) (any, error) {
	id, _ := in.Trace.Info["trace_id"].(string)
	if id == "" {
		return nil, invalid("a trace has an id")
	}
	tags, _ := in.Trace.Info["tags"].(map[string]any)
	if tags == nil {
		tags = map[string]any{}
	}
	tags["mlflow.artifactLocation"] = artifactsOf("traces", id)
	in.Trace.Info["tags"] = tags
	text, err := json.Marshal(in.Trace.Info)
	if err != nil {
		return nil, err
	}
	if err := j.write(change{Trace: &trace{id, text}}); err != nil {
		return nil, err
	}
	return map[string]any{"trace": map[string]any{"trace_info": json.RawMessage(text)}}, nil
}

func (j *job) retag(id string, do func(tags map[string]any)) error {
	var info map[string]any
	if j.traces[id] == nil || json.Unmarshal(j.traces[id], &info) != nil {
		return missing("this job has no trace %q", id)
	}
	tags, _ := info["tags"].(map[string]any)
	if tags == nil {
		tags = map[string]any{}
	}
	do(tags)
	info["tags"] = tags
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return j.write(change{Trace: &trace{id, text}})
}
