package plan

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"
)

// What a deployment gets when it does not say.
const (
	defaultReady  = 60 * time.Second
	defaultHealth = "/health"
	defaultPath   = "/score"
)

func (b *staging) deploy(l *layer) {
	d, at := l.s.Deploy, l.s.Path+"/deploy"
	out := &Deploy{Score: d.Score, Instances: 1, Health: or(d.Health, defaultHealth), Path: or(d.Path, defaultPath), Ready: Duration(defaultReady)}
	if d.Ready > 0 {
		out.Ready = Duration(d.Ready)
	}
	if name, ok := b.now(l, at+"/endpoint", d.Endpoint); ok {
		if out.Endpoint = name; !schema.ValidName(name) {
			b.bad(l, at+"/endpoint", "bad-name", fmt.Sprintf("an endpoint cannot be named %q", name), "use small letters, digits, and . _ - between them, at most 63")
		}
	}
	if v, ok := b.amount(l, at+"/instances", d.Instances); ok {
		if out.Instances = int(v); v != math.Trunc(v) || v > 1000 {
			b.bad(l, at+"/instances", "bad-amount", fmt.Sprintf("an endpoint cannot have %v instances", v), "write a whole number from 1 to 1000")
		}
	}
	if d.Model != "" {
		model := b.read(l, b.text(l, at+"/model", d.Model)).Value
		if m, v := b.ofRegistry(l, at+"/model", d.Model, model, true); m != nil {
			out.Named, model = m, v
		}
		out.Model = &model
	}
	out.Script = b.script(l, at+"/run", d.Run)
	out.Sample = b.sample(l)
	out.Rollout, out.Serving = b.rollout(l, d), serving(d)
	b.out.Deploy = out
}

// sample reads the request, and the answer that it must get, into the plan.
func (b *staging) sample(l *layer) *target.Sample {
	d, at := l.s.Deploy, l.s.Path+"/deploy"
	if d.Sample == "" {
		return nil
	}
	if files, _ := b.code(); files == nil {
		return nil
	}
	return &target.Sample{Request: b.json(l, at+"/sample", d.Sample), Answer: b.json(l, at+"/answer", d.Answer)}
}

func (b *staging) json(l *layer, at, name string) json.RawMessage {
	if name == "" {
		return nil
	}
	before := len(b.findings)
	text := []byte(b.textFile(l, at, name))
	if len(b.findings) > before {
		return nil
	}
	if !json.Valid(text) {
		b.bad(l, at, "not-json", fmt.Sprintf("%q does not hold JSON", name), "correct the file, or name another")
		return nil
	}
	var compact json.RawMessage = text
	if b, err := json.Marshal(compact); err == nil {
		compact = b
	}
	return compact
}
