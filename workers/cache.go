package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Records is a store of artifacts that also keeps small records by name.
type Records interface {
	// Record returns what was kept under name; nil when there is nothing.
	Record(ctx context.Context, name string) ([]byte, error)
	// SetRecord keeps text under name, in place of what was there.
	SetRecord(ctx context.Context, name string, text []byte) error
}

// remembered is the record of a job that went well.
type remembered struct {
	Reused  Reused            `json:"reused"`
	Parts   map[string]string `json:"parts"` // digests of what decided the results, by what it is called
	Outcome Outcome           `json:"outcome"`
}

// Parts are the digests of everything that decides the results of a submission, each
// under a key of its own; called says it for people. When all are the same, so are the
// results of a stage that asks to be cached.
func (s Submission) Parts() map[string]string {
	j := s.Job
	parts := map[string]string{"the code": string(j.Code), "the script": digest(j.Script), "the command": digest(strings.Join(j.Command, "\x00")), "the environment": digest(j.Environment),
		"the number of nodes": digest(j.Needs.Nodes), "the declared outputs": digest(s.promises())}
	if j.Launch != nil {
		parts["the launch"] = digest(j.Launch)
	}
	for _, in := range j.Inputs {
		parts[fmt.Sprintf("the input %q", in.Name)] = string(in.Ref)
	}
	for name, v := range j.Env {
		parts["$"+name] = digest(v)
	}
	for _, secret := range s.Secrets {
		parts["the secret "+secret.Var] = digest(secret.Name)
	}
	return parts
}

// promises are what the stage says it leaves, as one text: what is empty here may be
// absent on the other side of Temporal.
func (s Submission) promises() string {
	var b strings.Builder
	for _, o := range s.Job.Outputs {
		fmt.Fprintf(&b, "%s %s\n", o.Name, o.Type)
	}
	for _, declared := range []map[string]string{s.Values, s.Metrics} {
		b.WriteString("\n")
		for _, name := range sortedKeys(declared) {
			fmt.Fprintf(&b, "%s %s\n", name, declared[name])
		}
	}
	return b.String()
}

// called names a part as people know it: expressions of a script have become
// variables, and scalar inputs too. Several parts may be called the same.
func called(part string) string {
	variable, isVariable := strings.CutPrefix(part, "$")
	if !isVariable {
		return part
	}
	if name, ok := strings.CutPrefix(variable, "AMLFLOW_INPUT_"); ok {
		return fmt.Sprintf("the input %q", strings.ToLower(name))
	}
	if strings.HasPrefix(variable, "AMLFLOW_EXPR_") {
		return "a value in the script"
	}
	return "the variable " + variable
}

func digest(v any) string {
	text, err := json.Marshal(v) // names are sorted
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// keyOf names the record of a submission.
func keyOf(parts map[string]string) string { return "results/" + digest(parts) }

// latest names the record that says what the stage's last results were made of.
func (c Cache) latest() string { return "latest/" + digest([]string{c.Stage, c.Item}) }

// Recall looks for an earlier job whose results will do for s. When there is none,
// why says what is different from the last one.
func Recall(ctx context.Context, blobs target.Blobs, s Submission) (o Outcome, why string, ok bool) {
	records, keeps := blobs.(Records)
	switch {
	case s.Cache == nil:
		return o, "", false
	case !keeps:
		return o, "it has no earlier results", false
	}
	parts := s.Parts()
	was, found := recall(ctx, records, keyOf(parts))
	if !found {
		before, known := recall(ctx, records, s.Cache.latest())
		if !known {
			return o, "it has no earlier results", false
		}
		return o, changes(before.Parts, parts), false
	}
	if age := time.Since(was.Reused.At); s.Cache.MaxAge > 0 && age > s.Cache.MaxAge {
		return o, fmt.Sprintf("its last results are %s old, more than %s", age.Round(time.Second), s.Cache.MaxAge), false
	}
	for name, ref := range was.Outcome.Artifacts {
		if !take(ctx, blobs, ref) {
			return o, fmt.Sprintf("the artifact of its output %q is no longer in the store", name), false
		}
	}
	takeRest(ctx, blobs, keyOf(parts), was.Outcome)
	o = was.Outcome
	if was.Reused.Job == s.Job.ID { // they are its own: it is only followed once more
		return o, o.Fresh, false
	}
	o.Reused, o.Fresh = &was.Reused, ""
	return o, "", true
}

func recall(ctx context.Context, records Records, name string) (r remembered, ok bool) {
	text, err := records.Record(ctx, name)
	if err != nil || text == nil || json.Unmarshal(text, &r) != nil {
		return r, false // a record that cannot be read is as good as none
	}
	return r, true
}

func there(ctx context.Context, blobs target.Blobs, ref target.Ref) bool {
	r, err := blobs.Open(ctx, ref.Blob())
	return err == nil && r.Close() == nil
}

// changes says in words what differs.
func changes(before, now map[string]string) string {
	differ := map[string]bool{}
	for _, parts := range []map[string]string{before, now} {
		for part := range parts {
			if before[part] != now[part] {
				differ[called(part)] = true
			}
		}
	}
	changed := slices.Sorted(maps.Keys(differ))
	if len(changed) == 0 {
		return "its last results are gone"
	}
	const most = 4
	if more := len(changed) - most; more > 0 {
		changed = append(changed[:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(changed, ", ") + " changed since its last results"
}

// remember keeps the outcome of a job that went well. What cannot be kept is not
// worth failing a job for that has done its work.
func remember(ctx context.Context, blobs target.Blobs, s Submission, o Outcome) {
	records, keeps := blobs.(Records)
	if s.Cache == nil || !keeps || o.State != target.Succeeded || o.Reused != nil || len(o.Loaded) > 0 { // what a name stands for changes
		return
	}
	kept := o
	kept.Notes = nil
	r := remembered{Reused: Reused{Run: s.Cache.Run, Job: s.Job.ID, At: time.Now().UTC()}, Parts: s.Parts(), Outcome: kept}
	text, err := json.Marshal(r)
	if err != nil {
		return
	}
	_ = records.SetRecord(ctx, keyOf(r.Parts), text)
	_ = records.SetRecord(ctx, s.Cache.latest(), text)
}
