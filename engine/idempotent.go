package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/secrets"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// ErrKeyTaken says that the run which has an idempotency key does something else.
var ErrKeyTaken = errors.New("the idempotency key is taken")

// maxKey is how many bytes an idempotency key may have.
const maxKey = 200

// CheckKey reports why a text cannot be an idempotency key, or nil.
func CheckKey(key string) error {
	switch {
	case key == "":
		return errors.New("the idempotency key is empty: is the variable set that it is made of?")
	case len(key) > maxKey:
		return fmt.Errorf("the idempotency key has %d bytes, and may have %d: use a digest of it", len(key), maxKey)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("the idempotency key %q holds a control character, or is not UTF-8: write it in letters, digits and signs", key)
	}
	return nil
}

// keyedID is the id of the run that has a key: the same for everybody who submits
// it to one task queue. An id may be another run's already, by chance; then the
// next one is tried.
func keyedID(queue, key string, try int) string {
	sum := sha256.Sum256([]byte(queue + "\n" + strconv.Itoa(try) + "\n" + key))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:8])
}

// memo is what the list of runs shows of a run without its history.
func memo(r Request, in flow.Input) map[string]any {
	m := map[string]any{"pipeline": r.Plan.Pipeline, "workspace": r.Plan.Workspace, "plan": r.Plan.Digest, "plan_ref": in.PlanRef, "mark": in.Mark, "started": time.Now().UTC()}
	if r.Key != "" {
		m["key"] = r.Key
	}
	return m
}

// holder is what is known of the run that has an id.
type holder struct{ key, plan, mark string }

// holder looks for the run with this id; nil: there is none.
func (e *Engine) holder(ctx context.Context, id string) (*holder, error) {
	var h holder
	err := e.do(ctx, func(ctx context.Context, c client.Client) error {
		d, err := c.DescribeWorkflowExecution(ctx, idPrefix+id, "")
		fields := d.GetWorkflowExecutionInfo().GetMemo().GetFields()
		for name, v := range map[string]*string{"key": &h.key, "plan": &h.plan, "mark": &h.mark} {
			if p, ok := fields[name]; ok && err == nil {
				err = converter.GetDefaultDataConverter().FromPayload(p, v)
			}
		}
		return err
	})
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return nil, nil
	}
	return &h, err
}

// Keyed returns the id of the run that has an idempotency key, also of one that
// has ended; "" when none has. The error is ErrKeyTaken when that run does something
// else than the plan p.
func (e *Engine) Keyed(ctx context.Context, key string, p *plan.Plan) (string, error) {
	id, h, err := e.seek(ctx, key)
	if err != nil || h == nil {
		return "", err
	}
	return id, e.agree(ctx, id, h, p)
}

// seek returns the run that has the key or, with no holder, the id that it would have.
func (e *Engine) seek(ctx context.Context, key string) (string, *holder, error) {
	for try := 0; ; try++ {
		id := keyedID(e.Info().Queue, key, try)
		h, err := e.holder(ctx, id)
		if err != nil || h == nil || h.key == key {
			return id, h, err
		}
	}
}

// startKeyed begins the run that has the key of r, unless somebody else did: of many
// who ask at once, Temporal lets one begin it, since all ask for the same id.
func (e *Engine) startKeyed(ctx context.Context, r Request, in flow.Input) (string, error) {
	if err := CheckKey(r.Key); err != nil {
		return "", err
	}
	for {
		id, h, err := e.seek(ctx, r.Key)
		if err != nil {
			return "", err
		}
		if h != nil {
			return id, e.agree(ctx, id, h, r.Plan)
		}
		err = e.begin(ctx, id, r, in)
		var taken *serviceerror.WorkflowExecutionAlreadyStarted
		if err != nil && !errors.As(err, &taken) {
			return "", err
		}
		e.sweep(ctx)
	} // whoever began it: it is looked at as any other
}

// begin seals what the run needs and starts it. Secrets are sealed by one command at
// a time, and only while there is no run: one that has begun keeps what it was given.
func (e *Engine) begin(ctx context.Context, id string, r Request, in flow.Input) error {
	if r.Secrets != nil {
		turn, err := secrets.Turn(ctx, e.o.Home, id)
		if err != nil {
			return fmt.Errorf("wait to keep the secrets of the run: %w", err)
		}
		defer turn.Close()
		if h, err := e.holder(ctx, id); err != nil || h != nil {
			return err // begun meanwhile: the caller looks again
		}
		if err := r.Secrets.Reseal(e.o.Home, id); err != nil {
			return fmt.Errorf("keep the secrets of the run: %w", err)
		}
	}
	return e.do(ctx, func(ctx context.Context, c client.Client) error { return e.start(ctx, c, id, r, in) })
}

// agree holds a plan against that of the run which has the key. Where things are
// written, and from which folder, makes no difference: a plan that does the same is
// the same.
func (e *Engine) agree(ctx context.Context, id string, h *holder, p *plan.Plan) error {
	if h.plan == p.Digest {
		return nil
	}
	was, err := e.planOf(ctx, id)
	if err != nil {
		return fmt.Errorf("%w: it is that of run %s, with plan %.19s, and this plan is %.19s; the plan of the run cannot be read: %w", ErrKeyTaken, id, h.plan, p.Digest, err)
	}
	d := plan.Diff(was, p)
	if d.Empty() && was.Pipeline == p.Pipeline {
		return nil
	}
	return fmt.Errorf("%w: it is that of run %s, which does something else: %s. Its plan is %.19s%s, and this one %.19s%s. Use another key for this, or `amlflow status %s` to see that run",
		ErrKeyTaken, id, differing(was, p, d), h.plan, fileOf(was), p.Digest, fileOf(p), id)
}

// differing says in a few words what differs between two plans.
func differing(was, p *plan.Plan, d plan.Difference) string {
	const most = 4
	var parts []string
	if was.Pipeline != p.Pipeline {
		parts = append(parts, fmt.Sprintf("it runs the pipeline %q, and this is %q", was.Pipeline, p.Pipeline))
	}
	for _, c := range d.Changes {
		parts = append(parts, changed("", c))
	}
	for _, s := range d.Changed {
		for _, c := range s.Changes {
			parts = append(parts, changed("stage "+strconv.Quote(s.Stage)+": ", c))
		}
	}
	for _, s := range d.Added {
		parts = append(parts, fmt.Sprintf("it has no stage %q", s.Stage))
	}
	for _, s := range d.Removed {
		parts = append(parts, fmt.Sprintf("only it has a stage %q", s.Stage))
	}
	if len(d.Moved) > 0 {
		parts = append(parts, "the order of the stages")
	}
	if more := len(parts) - most; more > 0 {
		parts = append(parts[:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, "; ")
}

func changed(where string, c plan.Change) string {
	if c.Diff != "" {
		return where + c.Key + " is another text"
	}
	return fmt.Sprintf("%s%s is %s there and %s here", where, c.Key, orNothing(c.Before), orNothing(c.After))
}

func orNothing(v any) string {
	if v == nil {
		return "not set"
	}
	return plan.Words(v)
}

// fileOf says where a plan was written.
func fileOf(p *plan.Plan) string {
	if len(p.Stages) == 0 || p.Stages[0].At.File == "" {
		return ""
	}
	return " of " + p.Stages[0].At.File
}
