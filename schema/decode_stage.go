package schema

import "time"

// onwards are the keys that stages take over from the pipeline's defaults as a whole.
var onwards = []string{"target", "timeout", "retry", "cache", "code", "environment", "priority", "queue_timeout"}

// stage reads the stage at path, and what it takes over from the defaults.
func (s *Source) stage(path, name string) Stage {
	st := Stage{Name: name, Path: path}
	s.inherit(&st)
	st.Run, st.Command, st.If = s.text(path+"/run"), s.list(path+"/command"), s.text(path+"/if")
	st.Pipeline, st.Uses, st.With = s.text(path+"/pipeline"), s.text(path+"/uses"), s.named(path+"/with")
	st.Needs, st.Parallel = s.list(path+"/needs"), s.text(path+"/parallel")
	st.Inputs, st.Outputs, st.Metrics = s.named(path+"/inputs"), s.declared(path+"/outputs"), s.declared(path+"/metrics")
	st.Matrix, st.Each, st.Until = s.matrix(path+"/matrix"), s.each(path+"/each"), s.until(path+"/until")
	st.Concurrency, st.Sweep = s.concurrency(path+"/concurrency"), s.sweep(path+"/sweep")
	if s.said(path + "/batch") {
		s.batch(&st)
	}
	if s.said(path + "/deploy") {
		st.Deploy = s.deploy(path + "/deploy")
	}
	if s.said(path + "/approve") {
		at := path + "/approve"
		st.Approve = &Approve{By: s.list(at + "/by"), Message: s.text(at + "/message"), Timeout: s.duration(at + "/timeout")}
	}
	s.place(&st)
	st.Env, st.Secrets = s.merged(&st, "env"), s.merged(&st, "secrets")
	st.Environment = s.environment(st.At("environment"))
	st.Cache = s.cache(st.At("cache"))
	st.Code, st.Timeout, st.Queue = s.text(st.At("code")), s.duration(st.At("timeout")), s.duration(st.At("queue_timeout"))
	st.Resources = Resources{CPUs: s.text(st.At("resources/cpus")), Memory: s.text(st.At("resources/memory")), GPUs: s.text(st.At("resources/gpus")), Nodes: s.text(st.At("resources/nodes"))}
	st.Checkpoint, st.Register = s.checkpoint(path+"/checkpoint"), s.register(path+"/register")
	st.Priority = s.priority(st.At("priority"))
	st.Launch = s.launch(st.At("launch"))
	st.Retry = s.retry(st.At("retry"))
	return st
}

// inherit notes which keys come from the pipeline's defaults. What waits for a
// person, and what other files describe, takes none of them.
func (s *Source) inherit(st *Stage) {
	if !s.said("/defaults") || s.said(st.Path+"/approve") || s.said(st.Path+"/pipeline") {
		return
	}
	st.defaults = map[string]bool{}
	for _, key := range onwards {
		st.defaults[key] = !s.said(st.Path+"/"+key) && s.said("/defaults/"+key)
	}
	for _, key := range []string{"resources/cpus", "resources/memory", "resources/gpus", "resources/nodes"} {
		st.defaults[key] = !s.said(st.Path+"/"+key) && s.said("/defaults/"+key)
	}
}

// merged reads a map of names: those of the defaults, and the stage's own over them.
// The list of the defaults is shared by all stages that say nothing themselves.
func (s *Source) merged(st *Stage, key string) []Named {
	own := s.named(st.Path + "/" + key)
	if st.defaults == nil {
		return own
	}
	common := s.common(key)
	if len(common) > maxCommon {
		return own // shape has refused them
	}
	if len(own) == 0 && !s.said(st.Path+"/"+key) {
		return common
	}
	if s.spread += len(common); s.spread > maxSpread {
		return own
	}
	list := make([]Named, 0, len(common)+len(own))
	for _, d := range common {
		if _, over := s.Value(join(st.Path+"/"+key, d.Name)); !over {
			list = append(list, d)
		}
	}
	return append(list, own...)
}

// maxCommon is how many names the shape takes among the defaults.
const maxCommon = 50

// common is a map of names among the defaults, read once.
func (s *Source) common(key string) []Named {
	if s.defaults == nil {
		s.defaults = map[string][]Named{}
	}
	list, ok := s.defaults[key]
	if !ok {
		list = s.named("/defaults/" + key)
		list = list[:len(list):len(list)]
		s.defaults[key] = list
	}
	return list
}

func (s *Source) place(st *Stage) {
	at := st.At("target")
	if s.said(at + "/any_of") {
		st.Target, st.AnyOf, st.Prefer = s.list(at+"/any_of"), true, s.text(at+"/prefer")
		if st.Prefer == "" {
			st.Prefer = "cheapest"
		}
		return
	}
	st.Target = s.texts(at)
	if _, said := s.Value(at); !said {
		st.Target = []string{"local"}
	}
}

func (s *Source) deploy(path string) *Deploy {
	d := &Deploy{
		Endpoint: s.text(path + "/endpoint"), Model: s.text(path + "/model"), Score: s.text(path + "/score"), Run: s.text(path + "/run"),
		Sample: s.text(path + "/sample"), Answer: s.text(path + "/answer"), Instances: s.text(path + "/instances"),
		Health: s.text(path + "/health"), Path: s.text(path + "/path"), Ready: s.duration(path + "/ready"),
	}
	s.rollout(path, d)
	s.serving(path, d)
	return d
}

func (s *Source) retry(path string) Retry {
	r := Retry{Attempts: max(s.integer(path+"/attempts", 1), 1), Backoff: s.duration(path + "/backoff"), On: s.list(path + "/on")}
	if r.Backoff == 0 {
		r.Backoff = time.Second
	}
	if v, ok := s.Value(path + "/grow_memory"); ok {
		r.Grow, _ = number(v)
	}
	for _, cause := range s.Keys(path + "/budgets") {
		if r.Budgets == nil {
			r.Budgets = map[string]int{}
		}
		r.Budgets[cause] = s.integer(Pointer(path+"/budgets", cause), 1)
	}
	return r
}

func (s *Source) checkpoint(path string) *Checkpoint {
	if !s.said(path) {
		return nil
	}
	c := &Checkpoint{Folder: s.text(path + "/path"), Keep: max(s.integer(path+"/keep", 1), 1)}
	if c.Folder == "" {
		c.Folder = "checkpoints"
	}
	return c
}

func (s *Source) register(path string) *Register {
	if !s.said(path) {
		return nil
	}
	v, _ := s.Value(path)
	return &Register{None: v == false, Names: s.named(path)}
}

// launch reads the name of a kind, or a kind with how many processes it starts.
func (s *Source) launch(path string) *Launch {
	if text, ok := s.Text(path); ok {
		return &Launch{Kind: text}
	}
	if !s.said(path) {
		return nil
	}
	return &Launch{Kind: s.text(path + "/kind"), Processes: s.text(path + "/processes_per_node")}
}

func (s *Source) environment(path string) Environment {
	e := Environment{Image: s.text(path + "/image")}
	if at := path + "/python"; s.said(at) {
		e.Python = &Python{Version: s.text(at + "/version"), Requirements: s.text(at + "/requirements"), Packages: s.list(at + "/packages")}
	}
	return e
}

func (s *Source) cache(path string) *Cache {
	v, ok := s.Value(path)
	if !ok || v == nil {
		return nil
	}
	use, isBool := v.(bool)
	return &Cache{Use: use || !isBool, MaxAge: s.duration(path + "/max_age")}
}

func (s *Source) concurrency(path string) *Concurrency {
	if text, ok := s.Text(path); ok {
		return &Concurrency{Group: text, Limit: 1, Path: path}
	}
	if !s.said(path) {
		return nil
	}
	return &Concurrency{Group: s.text(path + "/group"), Limit: max(s.integer(path+"/limit", 1), 1), Path: path + "/group"}
}

func (s *Source) until(path string) *Until {
	if !s.said(path) {
		return nil
	}
	u := &Until{When: s.text(path + "/when"), Attempts: max(s.integer(path+"/attempts", 1), 1), Every: s.duration(path + "/every")}
	if !s.said(path + "/every") {
		u.Every = 10 * time.Second
	}
	return u
}

func (s *Source) each(path string) *Each {
	v, ok := s.Value(path)
	if !ok || v == nil {
		return nil
	}
	return &Each{Text: s.text(path), List: asList(v)}
}

func (s *Source) matrix(path string) *Matrix {
	if !s.said(path) {
		return nil
	}
	m := &Matrix{Include: s.combinations(path + "/include"), Exclude: s.combinations(path + "/exclude")}
	for _, key := range s.Keys(path) {
		if key == "include" || key == "exclude" {
			continue
		}
		at := join(path, key)
		v, _ := s.Value(at)
		m.Axes = append(m.Axes, Axis{Name: key, Path: at, Values: asList(v), Text: s.text(at)})
	}
	return m
}

func (s *Source) combinations(path string) []map[string]any {
	v, _ := s.Value(path)
	var list []map[string]any
	for _, item := range asList(v) {
		if m := asMap(item); m != nil {
			list = append(list, m)
		}
	}
	return list
}
