package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Host is a driver whose jobs can answer requests: each start of an instance is a job of
// it. So it is begun at most once, and found again by its id, as jobs are. The law of
// target.Driver holds for every method.
type Host interface {
	target.Driver
	// Vet reports why t can never run the job, without asking t.
	Vet(t target.Target, job target.Job) error
	// Seat decides where instance n of a deployment is to start now. Instances are spread
	// over the machines of t, and go to none that cannot be reached.
	Seat(ctx context.Context, t target.Target, deployment string, n int) (Seat, error)
	// Dial connects to what the job listens on, at the port of its seat. That nothing
	// listens there is an error that wraps syscall.ECONNREFUSED.
	Dial(ctx context.Context, s Seat, job string) (net.Conn, error)
}

// jobs makes instances that are jobs of a driver.
type jobs struct{ host Host }

const (
	askEvery   = 500 * time.Millisecond // how often one looks at a job
	endEvery   = 50 * time.Millisecond  // and at one that is to end
	serveInput = "serve"                // serve.py among the inputs of the job
	modelInput = "model"
	pathOfPy   = `command -v python3 >/dev/null 2>&1 || { echo "python3 is not in the PATH $PATH: install it there, or deploy with a script (run) that starts a server of another kind" >&2; exit 127; }`
)

// id names the job of a life. Those of one deployment begin alike, so that a person who
// sees them on a machine knows whose they are.
func (l life) id() string {
	id := fmt.Sprintf("%s.i%d.%d", l.of.ID, l.number, l.start)
	if target.ValidID(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return id[:120] + "." + hex.EncodeToString(sum[:16])
}

// job is the life as a job.
func (l life) job() target.Job {
	d := l.of
	env := map[string]string{}
	maps.Copy(env, d.Env)
	env["PORT"] = strconv.Itoa(l.seat.Port)
	env["AMLFLOW_LISTEN"] = l.seat.Listen
	env["AMLFLOW_ENDPOINT"] = d.Endpoint
	env["AMLFLOW_INSTANCE"] = strconv.Itoa(l.number)
	j := target.Job{
		ID: l.id(), Env: env, Environment: d.Environment, Host: d.Host, Code: d.Code,
		Needs: d.Needs, Grace: stopGrace, Port: l.seat.Port,
	}
	var words []string // before the server, on one line: the numbers of lines in its script stay
	if d.Model != "" {
		j.Inputs = append(j.Inputs, target.Artifact{Name: modelInput, Type: target.Model, Ref: d.Model})
		words = append(words, fmt.Sprintf(`AMLFLOW_MODEL="$%s"; export AMLFLOW_MODEL; `, target.EnvName("AMLFLOW_INPUT_", modelInput)))
	}
	if d.Score == "" {
		j.Script = strings.Join(append(words, d.Script), "")
		return j
	}
	j.Inputs = append(j.Inputs, target.Artifact{Name: serveInput, Type: target.File, Ref: d.ServePy})
	words = append(words, fmt.Sprintf("%s\nexec python3 -u \"$%s\" %s", pathOfPy, target.EnvName("AMLFLOW_INPUT_", serveInput), quote(d.Score)))
	for _, arg := range d.serveArgs() {
		words = append(words, " "+arg)
	}
	j.Script = strings.Join(words, "") + "\n"
	return j
}

// quote returns s as one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (m jobs) seat(ctx context.Context, l life) (Seat, error) {
	s, err := m.host.Seat(ctx, l.of.target(), l.of.ID, l.number)
	return s, away(ctx, err)
}

func (m jobs) begin(ctx context.Context, l life) error {
	err := away(ctx, m.host.Submit(ctx, l.seat.Target, l.job(), contents(l.of.dir)))
	if errors.Is(err, target.ErrPermanent) {
		return fmt.Errorf("%w: %w", errUnstarted, err)
	}
	return err
}

func (m jobs) look(ctx context.Context, l life) (jobdir.View, error) {
	if l.seat.Port == 0 {
		return jobdir.View{Phase: jobdir.Lost, Reason: "it was never begun"}, nil
	}
	st, err := m.host.Status(ctx, l.seat.Target, l.id())
	if err != nil {
		return jobdir.View{}, away(ctx, err)
	}
	v := jobdir.View{
		Phase: jobdir.Ended, Status: st.Exit, Reason: st.Reason, Notes: st.Notes, Start: st.Start, End: st.End,
		OOM: st.Cause == target.CauseOOM, Unstarted: st.Cause == target.CauseStart,
	}
	switch st.State {
	case target.Waiting:
		v.Phase = jobdir.New
	case target.Running:
		v.Phase = jobdir.Running
	case target.Lost:
		v.Phase = jobdir.Lost
	case target.Cancelled:
		v.Stopped = string(target.CauseCancel)
	}
	return v, nil
}

func (m jobs) read(ctx context.Context, l life, offset int64, w io.Writer) (int64, error) {
	if l.seat.Port == 0 {
		return offset, nil
	}
	reached, err := m.host.Read(ctx, l.seat.Target, l.id(), target.Stream{Name: target.Log}, offset, w)
	if errors.Is(err, errLong) {
		return reached, errLong // it is whoever reads that wants no more
	}
	return reached, away(ctx, err)
}

func (m jobs) end(ctx context.Context, l life) error {
	if l.seat.Port == 0 {
		return nil // it had no seat yet, so nobody has begun it
	}
	if err := m.host.Cancel(ctx, l.seat.Target, l.id(), target.CauseCancel); err != nil {
		return away(ctx, err)
	}
	for {
		st, err := m.host.Status(ctx, l.seat.Target, l.id())
		if err != nil {
			return away(ctx, err)
		}
		if st.State.Ended() {
			return nil
		}
		if err := sleep(ctx, endEvery); err != nil {
			return err
		}
	}
}

func (m jobs) clean(ctx context.Context, l life) error {
	if l.seat.Port == 0 {
		return nil
	}
	return away(ctx, m.host.Clean(ctx, l.seat.Target, l.id()))
}

func (m jobs) dial(ctx context.Context, l life) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return m.host.Dial(ctx, l.seat, l.id())
}

func (m jobs) pace() time.Duration { return askEvery }

// away marks what the driver could not do as something that says nothing about the job,
// unless trying again cannot mend it.
func away(ctx context.Context, err error) error {
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, target.ErrPermanent), errors.Is(err, target.ErrUnreachable):
		return err
	}
	return fmt.Errorf("%w: %w", err, target.ErrUnreachable)
}

// vet reports why the deployment can never run on the target of a host, before anything
// is kept of it.
func (f Folder) vet(ctx context.Context, t target.Target, d target.Deployment, in target.Blobs) error {
	h := f.Hosts[t.Kind]
	if h == nil {
		return fmt.Errorf("this program serves no targets of kind %q: %w", t.Kind, target.ErrPermanent)
	}
	l := life{of: &deployment{wish: wish{Deployment: d}}, start: 1, seat: Seat{Target: t, Port: 1}}
	if err := h.Vet(t, l.job()); err != nil {
		return err
	}
	if d.Score == "" {
		return nil
	}
	var list []target.Entry
	if d.Code != "" {
		var err error
		if list, err = target.ListTree(ctx, in, d.Code); err != nil {
			return fmt.Errorf("look into the code: %w", err)
		}
	}
	for _, e := range list {
		if e.Path == path.Clean(d.Score) {
			return nil
		}
	}
	return fmt.Errorf("the score file %q is not in the code folder: %w", d.Score, target.ErrPermanent)
}
