package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/amlflow/amlflow/workers/mask"
	"github.com/amlflow/amlflow/workers/target"
)

// values fetches the secrets of a submission.
func (a *Activities) values(ctx context.Context, s Submission) (map[string]string, error) {
	if len(s.Secrets) == 0 {
		return nil, nil
	}
	if a.Secrets == nil {
		return nil, errors.New("this worker has no secrets")
	}
	return a.Secrets(ctx, s)
}

// withoutSecrets is for a job whose secrets cannot be had. It is not started. If
// another worker has started it before, it goes on, and is followed once they are
// there again: until then what it writes cannot be masked.
func withoutSecrets(ctx context.Context, d target.Driver, s Submission, why error) (Outcome, error) {
	st, err := d.Status(ctx, s.Target, s.Job.ID)
	switch {
	case err != nil:
		return Outcome{}, err
	case ctx.Err() != nil:
		return Outcome{}, ctx.Err()
	case st.State != target.Lost:
		return Outcome{}, fmt.Errorf("the job was started, but its log cannot be masked: %w", why)
	}
	return Outcome{Status: target.Status{State: target.Failed, Cause: target.CauseStart, Reason: why.Error()}}, nil
}

// blindly waits for the end of a job whose secrets cannot be had. Of what it
// wrote nothing is kept.
func blindly(ctx context.Context, d target.Driver, s Submission, why error) (Outcome, error) {
	st, err := follow(ctx, d, s)
	if err != nil {
		return Outcome{}, err
	}
	st.Reason, st.Notes = "", []string{"its results and its log are not kept, because they cannot be masked: " + why.Error()}
	return Outcome{Status: st}, nil
}

// veil hides the secrets of one job in all that is recorded of it.
type veil struct{ m *mask.Masker }

func newVeil(secrets map[string]string) veil {
	return veil{mask.New(slices.Collect(maps.Values(secrets)))}
}

// over returns blobs that mask logs.
func (v veil) over(b target.Blobs) target.Blobs {
	if v.m == nil {
		return b
	}
	return veiled{b, v.m}
}

type veiled struct {
	target.Blobs
	m *mask.Masker
}

// PutLog implements target.LogBlobs.
func (b veiled) PutLog(ctx context.Context, r io.Reader) (target.Ref, error) {
	return target.PutLog(ctx, b.Blobs, b.m.Reader(r))
}

// error hides what an error quotes. Temporal records the text of every error
// inside it, too, so that none is inside.
func (v veil) error(err error) error {
	if err == nil || v.m.String(err.Error()) == err.Error() {
		return err
	}
	return veiledError{v.m.String(err.Error()), err}
}

type veiledError struct {
	text string
	was  error
}

func (e veiledError) Error() string        { return e.text }
func (e veiledError) Is(target error) bool { return errors.Is(e.was, target) }

func (v veil) status(st target.Status) target.Status {
	st.Reason, st.Notes = v.m.String(st.Reason), v.lines(st.Notes)
	return st
}

func (v veil) lines(all []string) []string {
	if v.m == nil || len(all) == 0 {
		return all
	}
	hidden := make([]string, len(all))
	for i, line := range all {
		hidden[i] = v.m.String(line)
	}
	return hidden
}

// outcome hides what is said of a job. Values and metrics were masked when they
// were read, before any of them was cut short.
func (v veil) outcome(o Outcome) Outcome {
	o.Status, o.Tail = v.status(o.Status), v.lines(o.Tail)
	return o
}

// object hides secrets in values, also in names. A number that is a secret becomes
// text, and then has not the type that was declared.
func (v veil) object(values map[string]any) map[string]any {
	if v.m == nil || values == nil {
		return values
	}
	hidden := make(map[string]any, len(values))
	for name, x := range values {
		hidden[v.m.String(name)] = v.value(x)
	}
	return hidden
}

func (v veil) value(x any) any {
	switch x := x.(type) {
	case string:
		return v.m.String(x)
	case float64:
		if v.whole(x) {
			return v.m.String(text(x))
		}
	case []any:
		hidden := make([]any, len(x))
		for i := range x {
			hidden[i] = v.value(x[i])
		}
		return hidden
	case map[string]any:
		return v.object(x)
	}
	return x
}

// metrics leaves out numbers that are secrets.
func (v veil) metrics(all map[string]float64) map[string]float64 {
	if v.m == nil {
		return all
	}
	kept := make(map[string]float64, len(all))
	for name, x := range all {
		if !v.whole(x) {
			kept[v.m.String(name)] = x
		}
	}
	return kept
}

// whole reports whether a number is a secret from the first digit to the last.
func (v veil) whole(x float64) bool {
	b, err := json.Marshal(x)
	return err == nil && len(b) > 0 && allStars(v.m.String(string(b)))
}

func allStars(s string) bool {
	for i := range len(s) {
		if s[i] != '*' {
			return false
		}
	}
	return true
}
