package schema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/schema/diag"
)

// ReadPipeline reads a pipeline file. With mistakes in it the pipeline still holds
// all that could be understood, so that Check can find those that remain; it is
// fit to be run only when neither finds an error.
func ReadPipeline(name string, data []byte) (*Pipeline, diag.Findings) {
	s, fs := Read(name, data)
	fs = append(fs, s.checkShape("pipeline", pipelineForm())...)
	p := &Pipeline{Source: s, scope: &scopeOnce{}, broken: fs.Bad()}
	p.Name = s.text("/pipeline")
	p.Description = s.text("/description")
	p.Params = s.params()
	p.Stages = make([]Stage, 0, len(s.Keys("/stages")))
	for _, key := range s.Keys("/stages") {
		p.Stages = append(p.Stages, s.stage(join("/stages", key), key))
	}
	for _, key := range s.Keys("/finally") {
		p.Finally = append(p.Finally, s.stage(join("/finally", key), key))
	}
	if s.spread > maxSpread {
		fs = append(fs, s.finding(s.KeyAt("/defaults"), "too-large", fmt.Sprintf("with the defaults the stages have more than %d variables", maxSpread), "use fewer defaults, or split the pipeline"))
	}
	p.Outputs = s.named("/outputs")
	p.Concurrency = s.concurrency("/concurrency")
	p.Schedules = s.schedules("/on/schedule")
	return p, fs.Sort()
}

// text is the scalar at path as it was written; "" when there is none.
func (s *Source) text(path string) string {
	text, _ := s.Text(path)
	return text
}

func (s *Source) said(path string) bool {
	v, ok := s.Value(path)
	return ok && v != nil
}

// named reads a map of scalars or, for arguments, of lists.
func (s *Source) named(path string) []Named {
	var list []Named
	for _, key := range s.Keys(path) {
		at := join(path, key)
		if text, ok := s.Text(at); ok {
			list = append(list, Named{Name: key, Text: text, Path: at})
		} else if v, ok := s.Value(at); ok && isList(v) {
			list = append(list, Named{Name: key, Path: at, List: asList(v)})
		}
	}
	return list
}

func (s *Source) declared(path string) []Declared {
	var list []Declared
	for _, key := range s.Keys(path) {
		list = append(list, Declared{Name: key, Type: Type(s.text(join(path, key)))})
	}
	return list
}

// texts reads a list of scalars, or a single one as a list of one.
func (s *Source) texts(path string) []string {
	if text, ok := s.Text(path); ok {
		return []string{text}
	}
	if list, ok := s.lists[path]; ok {
		return list
	}
	v, _ := s.Value(path)
	var list []string
	if strings.HasPrefix(path, "/defaults/") {
		if s.lists == nil {
			s.lists = map[string][]string{}
		}
		defer func() { s.lists[path] = list[:len(list):len(list)] }()
	}
	for i := range asList(v) {
		list = append(list, s.text(join(path, strconv.Itoa(i))))
	}
	return list
}

// list reads a list of scalars; nothing else will do.
func (s *Source) list(path string) []string {
	if _, ok := s.Text(path); ok {
		return nil
	}
	return s.texts(path)
}

func (s *Source) params() []Param {
	var list []Param
	for _, key := range s.Keys("/params") {
		list = append(list, s.param(join("/params", key), key))
	}
	return list
}

func (s *Source) param(path, name string) Param {
	p := Param{Name: name, Path: path, Type: Type(s.text(path + "/type")), Description: s.text(path + "/description"), Pattern: s.text(path + "/pattern")}
	p.Minimum, p.Maximum = s.number(path+"/minimum"), s.number(path+"/maximum")
	if v, ok := s.Value(path + "/default"); ok && v != refused {
		p.Default = v
		if brought, fits := p.Type.of(v); fits {
			p.Default = brought
		}
	}
	v, _ := s.Value(path + "/enum")
	p.Enum = asList(v)
	return p
}

func (s *Source) number(path string) *float64 {
	v, _ := s.Value(path)
	if n, ok := number(v); ok {
		return &n
	}
	return nil
}

func (s *Source) integer(path string, otherwise int) int {
	if v, ok := s.Value(path); ok {
		if n, isInt := v.(int); isInt {
			return n
		}
	}
	return otherwise
}

func (s *Source) duration(path string) time.Duration {
	d, err := ParseDuration(s.text(path))
	if err != nil {
		return 0 // shape or the rules say so
	}
	return d
}

// ReadWorkspace reads a workspace file. Dir is left to the caller, who knows where
// the file is.
func ReadWorkspace(name string, data []byte) (*Workspace, diag.Findings) {
	s, fs := Read(name, data)
	fs = append(fs, s.checkShape("workspace", workspaceForm())...)
	w := &Workspace{Source: s, Name: s.text("/workspace"), Store: s.text("/store")}
	for _, key := range s.Keys("/targets") {
		w.Targets = append(w.Targets, s.target(join("/targets", key), key))
	}
	if _, said := s.Value("/targets"); !said {
		w.Targets = []Target{{Name: "local", Path: "/targets/local", Kind: "local"}}
	}
	for _, key := range s.Keys("/profiles") {
		w.Profiles = append(w.Profiles, s.profile(join("/profiles", key), key))
	}
	for _, key := range s.Keys("/secrets") {
		w.Secrets = append(w.Secrets, s.secret(join("/secrets", key), key))
	}
	w.Groups = map[string][]string{}
	for _, key := range s.Keys("/groups") {
		w.Groups[key] = s.list(join("/groups", key))
	}
	w.Engine = Engine{Address: s.text("/engine/address"), Namespace: s.text("/engine/namespace"), APIKeyEnv: s.text("/engine/api_key_env")}
	if v, ok := s.Value("/engine/tls"); ok && asMap(v) != nil {
		w.Engine.TLS = &TLS{CA: s.text("/engine/tls/ca"), Cert: s.text("/engine/tls/cert"), Key: s.text("/engine/tls/key"), ServerName: s.text("/engine/tls/server_name")}
	}
	return w, append(fs, w.check()...).Sort()
}

func (s *Source) target(path, name string) Target {
	t := Target{Name: name, Path: path, Kind: s.text(path + "/kind")}
	if cost := s.number(path + "/cost"); cost != nil {
		t.Cost = *cost
	}
	v, _ := s.Value(path)
	settings := map[string]any{}
	for key, setting := range asMap(v) {
		if key != "kind" && key != "cost" && setting != refused {
			settings[key] = setting
		}
	}
	if len(settings) == 0 {
		return t
	}
	if text, err := json.Marshal(settings); err == nil {
		t.Settings = text
	}
	return t
}

func (s *Source) secret(path, name string) Secret {
	stored, _ := s.Value(path + "/store")
	return Secret{Name: name, Path: path, Env: s.text(path + "/env"), File: s.text(path + "/file"), Store: stored == true}
}

func (s *Source) profile(path, name string) Profile {
	p := Profile{Name: name, Path: path, Targets: map[string]string{}, Params: map[string]any{}}
	for _, key := range s.Keys(path + "/targets") {
		if text, ok := s.Text(join(path+"/targets", key)); ok {
			p.Targets[key] = text
		}
	}
	for _, key := range s.Keys(path + "/params") {
		if v, ok := s.Value(join(path+"/params", key)); ok && v != nil && v != refused {
			p.Params[key] = v
		}
	}
	return p
}
