package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
)

// openAPI is the path below an endpoint where its description is.
const openAPI = "openapi.json"

// describes reports whether the gateway has a description of the version. A server that
// is not ours may have its own at the same path.
func (v *version) describes() bool { return v.OpenAPI != nil || v.Score != "" }

func (g *gateway) describe(w http.ResponseWriter, r *http.Request, v *version, t *table) {
	if v.OpenAPI != nil {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(v.OpenAPI)
		return
	}
	d, err := readDeployment(v.dir) // it holds what was answered to the sample
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, http.StatusOK, d.openAPI(r.Host, t.guarded))
}

type object = map[string]any

// openAPI describes the endpoint by its sample, as OpenAPI 3.1.
func (d deployment) openAPI(host string, guarded bool) object {
	post := object{
		"operationId": "score",
		"summary":     "Ask the model",
		"responses":   d.responses(guarded),
	}
	if body := d.content(d.request()); body != nil {
		post["requestBody"] = object{"required": true, "content": body}
	}
	doc := object{
		"openapi": "3.1.0",
		"info":    object{"title": d.Endpoint, "version": d.ID, "description": "Deployed by run " + d.Run + ", stage " + d.Stage + ". Made from the sample of the deployment."},
		"servers": []any{object{"url": "http://" + host}},
		"paths": object{
			"/" + d.Endpoint: object{"post": post},
			"/" + d.Endpoint + d.Health: object{"get": object{
				"operationId": "health", "summary": "Whether an instance answers", "security": []any{},
				"responses": object{"200": object{"description": "it does"}, "503": d.refusal("no instance is ready")},
			}},
		},
	}
	if guarded {
		doc["components"] = object{"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer"}}}
		doc["security"] = []any{object{"key": []any{}}}
	}
	return doc
}

func (d deployment) request() json.RawMessage {
	if d.Sample == nil {
		return nil
	}
	return d.Sample.Request
}

func (d deployment) responses(guarded bool) object {
	ok := object{"description": "the answer of the model"}
	var sample json.RawMessage
	if d.end != nil {
		sample = d.end.Answer
	}
	if body := d.content(sample); body != nil {
		ok["content"] = body
	}
	all := object{
		"200": ok,
		"400": d.refusal("the request cannot be read"),
		"429": d.refusal("all places are taken; try again after the seconds in Retry-After"),
		"500": d.refusal("the model raised an error"),
		"503": d.refusal("no instance is ready; try again after the seconds in Retry-After"),
		"504": d.refusal("the answer took too long"),
	}
	if guarded {
		all["401"] = d.refusal("no key, or a wrong one")
	}
	return all
}

// content describes a body by one that was seen. A model that takes bytes may be given any.
func (d deployment) content(sample json.RawMessage) object {
	switch {
	case d.Bytes:
		return object{"application/octet-stream": object{}}
	case sample == nil:
		return object{"application/json": object{}}
	}
	v, err := decode(sample)
	if err != nil {
		return nil
	}
	return object{"application/json": object{"schema": shape(v), "example": v}}
}

func (d deployment) refusal(words string) object {
	return object{"description": words, "content": object{"application/json": object{"schema": object{
		"type": "object", "required": []string{"error"}, "properties": object{"error": object{"type": "string"}},
	}}}}
}

// shape is the JSON Schema of values that look like this one.
func shape(v any) object {
	switch v := v.(type) {
	case map[string]any:
		properties, required := object{}, []string{}
		for name, value := range v {
			properties[name] = shape(value)
			required = append(required, name)
		}
		slices.Sort(required)
		return object{"type": "object", "properties": properties, "required": required}
	case []any:
		return object{"type": "array", "items": items(v)}
	case json.Number:
		// One that happens to be whole does not say that all are.
		return object{"type": "number"}
	case string:
		return object{"type": "string"}
	case bool:
		return object{"type": "boolean"}
	}
	return object{"type": "null"}
}

// items is the shape of all values of a list, if they have one in common.
func items(list []any) object {
	var one object
	var text []byte
	for n, v := range list {
		next := shape(v)
		form, err := json.Marshal(next)
		if n > 0 && !bytes.Equal(form, text) || err != nil {
			return object{}
		}
		one, text = next, form
	}
	if one == nil {
		return object{}
	}
	return one
}
