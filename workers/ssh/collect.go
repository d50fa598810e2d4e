package ssh

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Read implements target.Driver.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	hosts, err := d.place(t, id)
	if err != nil {
		return offset, err
	}
	if offset < 0 || s.Rank < 0 {
		return offset, fmt.Errorf("there is no offset %d of rank %d: %w", offset, s.Rank, target.ErrPermanent)
	}
	name, ok := map[string]string{target.Log: remote.LogFile, target.Metrics: ranks.MetricsFile}[s.Name]
	if !ok {
		return offset, fmt.Errorf("there is no stream %q, only %q and %q: %w", s.Name, target.Log, target.Metrics, target.ErrPermanent)
	}
	if s.Rank >= len(hosts) {
		return offset, nil
	}
	n, err := hosts[s.Rank].Read(ctx, remote.Unit(id, s.Rank), name, offset, w)
	if err != nil {
		err = hosts[s.Rank].blame(fmt.Errorf("read the %s of job %q: %w", s.Name, id, err))
	}
	return n, err
}

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return target.Results{}, err
	}
	if !st.State.Ended() {
		return target.Results{}, fmt.Errorf("job %q is %s: its results can be collected once it has ended", id, st.State)
	}
	hosts, err := d.place(t, id)
	if err != nil {
		return target.Results{}, err
	}
	r, ok, err := d.records.of(ctx, hosts[0], id)
	if err != nil || !ok {
		return target.Results{}, err // one that never was leaves nothing
	}
	res, err := collect(ctx, hosts, id, r, st.Rank, out)
	if err != nil {
		return res, fmt.Errorf("collect job %q: %w", id, err)
	}
	return res, nil
}

// logPath is where the log is, seen from the folder of what a unit has left.
const logPath = "../" + remote.LogFile

func collect(ctx context.Context, hosts []host, id string, r record, decider int, out target.Blobs) (target.Results, error) {
	names := []string{logPath, ranks.ValuesFile, ranks.MetricsFile}
	for _, a := range r.Outputs {
		names = append(names, outPath(a))
	}
	left := make([]map[string]remote.Left, min(r.Nodes, len(hosts)))
	err := each(hosts[:len(left)], func(n int, h host) (err error) {
		left[n], err = h.Report(ctx, remote.Unit(id, n), names)
		return err
	})
	if err != nil {
		return target.Results{}, err
	}
	first := leaver{hosts[0], remote.Unit(id, 0), left[0]}
	res := target.Results{Artifacts: map[string]target.Ref{}}
	if res.Log, err = (leaver{hosts[decider], remote.Unit(id, decider), left[decider]}).log(ctx, out); err != nil {
		return res, fmt.Errorf("the log: %w", err)
	}
	if res.Values, err = first.bounded(ctx, ranks.ValuesFile, ranks.MaxValues); err != nil {
		return res, fmt.Errorf("$AMLFLOW_OUTPUTS: %w", err)
	}
	if res.Metrics, err = first.bounded(ctx, ranks.MetricsFile, ranks.MaxMetrics); err != nil {
		return res, fmt.Errorf("$AMLFLOW_METRICS: %w", err)
	}
	for _, a := range r.Outputs {
		ref, err := first.output(ctx, a, out)
		if err != nil {
			return res, fmt.Errorf("output %q: %w", a.Name, err)
		}
		if ref != "" {
			res.Artifacts[a.Name] = ref
		}
	}
	return res, nil
}

func outPath(a target.Artifact) string { return "out/" + a.Name }

// leaver is a rank that has ended, and what it has left.
type leaver struct {
	host
	unit string
	left map[string]remote.Left
}

// log stores the log; the name is empty when there is none.
func (l leaver) log(ctx context.Context, out target.Blobs) (target.Ref, error) {
	if l.left[logPath].Kind != "file" {
		return "", nil
	}
	return l.PutFile(ctx, l.unit, remote.LogFile, func(r io.Reader) (target.Ref, error) { return target.PutLog(ctx, out, r) })
}

// bounded reads a regular file; the result is nil when there is none.
func (l leaver) bounded(ctx context.Context, name string, most int64) ([]byte, error) {
	switch f := l.left[name]; {
	case absent(f):
		return nil, nil
	case f.Kind != "file":
		return nil, notRegular(f)
	case f.Size > most:
		return nil, fmt.Errorf("%d bytes were written, at most %d are read: declare an output of type file for large results: %w", f.Size, most, target.ErrPermanent)
	}
	var text bytes.Buffer
	_, err := l.Read(ctx, l.unit, name, 0, &text)
	return text.Bytes(), err
}

// output stores an output; the name is empty when there is none. The folder that a model
// was given to fill counts only once something is in it.
func (l leaver) output(ctx context.Context, a target.Artifact, out target.Blobs) (target.Ref, error) {
	f := l.left[outPath(a)]
	folder := f.Kind == "folder" || f.Kind == "empty" || f.Kind == "odd"
	switch {
	case absent(f):
		return "", nil
	case folder && a.Type == target.File:
		return "", fmt.Errorf("it is a folder, but declared as a file: %w", target.ErrPermanent)
	case f.Kind == "file" && a.Type == target.Folder:
		return "", fmt.Errorf("it is a file, but declared as a folder: %w", target.ErrPermanent)
	case f.Kind == "file":
		return l.PutFile(ctx, l.unit, outPath(a), func(r io.Reader) (target.Ref, error) { return out.Put(ctx, r) })
	case f.Kind == "odd":
		return "", fmt.Errorf("%q is a link or a special file; only regular files and folders can be kept: copy what it points to, or leave it out: %w", f.Odd, target.ErrPermanent)
	case !folder:
		return "", notRegular(f)
	case f.Kind == "empty" && a.Type == target.Model:
		return "", nil
	}
	return l.PutTree(ctx, l.unit, outPath(a), out)
}

func absent(f remote.Left) bool { return f.Kind == "" || f.Kind == "absent" }

func notRegular(f remote.Left) error {
	return fmt.Errorf("it is a %s; only a regular file is read: %w", f.Kind, target.ErrPermanent)
}
