package schema

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// batched checks the expressions of a batch.
func (c *checker) batched(s *Stage) {
	at := s.Path + "/batch"
	c.text(place{path: at + "/over", text: s.Batch.Over, stage: s, want: expr.Type{Kind: expr.Artifact}})
	c.named(s, at+"/model", s.Batch.Model)
}

// batches checks what a batch is over, and what it is to leave.
func (c *checker) batches() {
	for _, s := range c.stages() {
		if s.Batch == nil {
			continue
		}
		c.batchItems(s)
		c.batchSize(s)
		c.batchResults(s)
		for _, in := range s.Inputs {
			if in.Name == "batch" || in.Name == "model" && s.Batch.Model != "" {
				key := map[string]string{"batch": "over", "model": "model"}[in.Name]
				c.key("name-clash", in.Path, "give it another name", "what `batch.%s` names is the input %q of a batch", key, in.Name)
			}
		}
	}
}

// over is what kind of content a batch is over, as far as that is known.
func (c *checker) over(s *Stage) expr.Kind {
	t, errs := expr.Split(s.Batch.Over)
	part, single := t.Single()
	if len(errs) > 0 || !single {
		return expr.Any
	}
	x, errs := c.compile(place{stage: s}, part.Expr, expr.Type{})
	if len(errs) > 0 || x == nil {
		return expr.Any // said already
	}
	return x.Type.Kind
}

// batchItems holds what the items are to be against what there is.
func (c *checker) batchItems(s *Stage) {
	at, items := s.Path+"/batch/items", s.Batch.Items
	switch kind := c.over(s); {
	case items == "" || c.valueOf(at) == nil:
	case items == "files" && kind == expr.File:
		c.value("wrong-value", at, "write lines, csv or jsonl", "the batch of stage %q is over one file, whose items are not files", s.Name)
	case items != "files" && (kind == expr.Folder || kind == expr.Model):
		c.value("wrong-value", at, "write files, and read each in run(mini_batch); or make it one file", "the batch of stage %q is over a folder, whose items are files", s.Name)
	}
}

var batchSize = regexp.MustCompile(`^[0-9]+ ?(file|item|line)s?$`)

// batchSize refuses a size in a unit that the items are not of.
func (c *checker) batchSize(s *Stage) {
	text, at := s.Batch.Size, s.Path+"/batch/size"
	if bytesPattern.MatchString(text) && strings.IndexAny(text, "KMGT") > 0 {
		if _, err := ParseBytes(text); err != nil {
			c.value("wrong-value", at, "write for example 64Mi", "%s", err)
		}
	}
	m := batchSize.FindStringSubmatch(text)
	if m == nil || m[1] == "item" {
		return
	}
	is := "line"
	if kind := c.over(s); s.Batch.Items == "files" || s.Batch.Items == "" && kind != expr.File {
		is = "file"
	}
	if m[1] != is {
		c.value("wrong-value", at, fmt.Sprintf("write %q", strings.Replace(text, m[1], is, 1)), "the items of the batch of stage %q are %ss", s.Name, is)
	}
}

// batchResults wants one output, which the results go to.
func (c *checker) batchResults(s *Stage) {
	if !c.p.Source.said(s.Path + "/outputs") {
		return
	}
	at, places := s.Path+"/outputs", 0
	for _, out := range s.Outputs {
		switch {
		case out.Type == "" || c.p.broken:
			return
		case !out.Type.IsArtifact():
			c.key("wrong-type", join(at, out.Name), "remove it; numbers of a batch are its metrics", "a batch has no values, and the output %q is one of type %s", out.Name, out.Type)
		case out.Type == Model:
			c.key("wrong-type", join(at, out.Name), "write folder or file", "the output %q of a batch holds results, and is no model", out.Name)
		default:
			places++
		}
	}
	if places > 1 {
		c.key("two-kinds", at, "keep one: a folder, or a file", "the results of the batch of stage %q go to one output, and it has %d", s.Name, places)
	}
}
