package remote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// logPath is where the log is, seen from the folder of what a unit has left.
const logPath = "../" + LogFile

// Seat is where a rank of a job has its unit.
type Seat struct {
	*Machine
	Unit string
	// Blame says of an error which machine it is of.
	Blame func(error) error
}

// ReadStream is Read of a driver whose jobs are units. find tells where a rank is; a seat
// without a machine is that of a rank which is not there.
func ReadStream(ctx context.Context, id string, s target.Stream, offset int64, w io.Writer, find func(rank int) (Seat, error)) (int64, error) {
	if offset < 0 || s.Rank < 0 {
		return offset, fmt.Errorf("there is no offset %d of rank %d: %w", offset, s.Rank, target.ErrPermanent)
	}
	name, ok := map[string]string{target.Log: LogFile, target.Metrics: ranks.MetricsFile}[s.Name]
	if !ok {
		return offset, fmt.Errorf("there is no stream %q, only %q and %q: %w", s.Name, target.Log, target.Metrics, target.ErrPermanent)
	}
	at, err := find(s.Rank)
	if err != nil || at.Machine == nil {
		return offset, err
	}
	n, err := at.Read(ctx, at.Unit, name, offset, w)
	if err != nil {
		err = at.Blame(fmt.Errorf("read the %s of job %q: %w", s.Name, id, err))
	}
	return n, err
}

// CollectJob is Collect of a driver d whose jobs are units. find tells where the ranks of a
// job are, and what it was to leave; one that never was has none, and leaves nothing.
func CollectJob(ctx context.Context, d target.Driver, t target.Target, id string, out target.Blobs, find func() ([]Seat, []target.Artifact, error)) (target.Results, error) {
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return target.Results{}, err
	}
	if !st.State.Ended() {
		return target.Results{}, fmt.Errorf("job %q is %s: its results can be collected once it has ended", id, st.State)
	}
	seats, outputs, err := find()
	if err != nil || len(seats) == 0 {
		return target.Results{}, err
	}
	res, err := collect(ctx, seats, st.Rank, outputs, out)
	if err != nil {
		return res, fmt.Errorf("collect job %q: %w", id, err)
	}
	return res, nil
}

// leaver is a rank of a job that has ended, and what it has left.
type leaver struct {
	Seat
	Left map[string]Left
}

// collect stores what a job has left: what its first rank produced, the log of the one that
// decided its end, and those of all.
func collect(ctx context.Context, seats []Seat, decider int, outputs []target.Artifact, out target.Blobs) (target.Results, error) {
	res := target.Results{Artifacts: map[string]target.Ref{}}
	all, err := report(ctx, seats, outputs)
	if err != nil {
		return res, err
	}
	if res.Log, err = all[decider].log(ctx, out); err != nil {
		return res, all[decider].Blame(fmt.Errorf("the log: %w", err))
	}
	if res.Logs, err = putLogs(ctx, all, decider, res.Log, out); err != nil {
		return res, err
	}
	if err := all[0].results(ctx, outputs, out, &res); err != nil {
		return res, all[0].Blame(err)
	}
	return res, nil
}

// report asks all ranks at once what they have left, which makes their ends durable.
func report(ctx context.Context, seats []Seat, outputs []target.Artifact) ([]leaver, error) {
	names := []string{logPath, ranks.ValuesFile, ranks.MetricsFile, tracking.StoreDir}
	for _, a := range outputs {
		names = append(names, outPath(a))
	}
	all, errs := make([]leaver, len(seats)), make([]error, len(seats))
	var wait sync.WaitGroup
	for n, s := range seats {
		wait.Go(func() {
			all[n].Seat = s
			var err error
			if all[n].Left, err = s.Report(ctx, s.Unit, names); err != nil {
				errs[n] = s.Blame(err)
			}
		})
	}
	wait.Wait()
	return all, errors.Join(errs...)
}

// putLogs stores the logs of all ranks, of which that of one is stored already; the name is
// empty when there is only that.
func putLogs(ctx context.Context, all []leaver, stored int, log target.Ref, out target.Blobs) (target.Ref, error) {
	if len(all) == 1 {
		return "", nil
	}
	var parts []target.Part
	for n, l := range all {
		one := log
		if n != stored {
			var err error
			if one, err = l.log(ctx, out); err != nil {
				return "", l.Blame(fmt.Errorf("the log of rank %d: %w", n, err))
			}
		}
		if one != "" {
			parts = append(parts, target.Part{Name: strconv.Itoa(n), Ref: one})
		}
	}
	return target.JoinTree(ctx, out, parts)
}

// results stores what a rank has produced.
func (l leaver) results(ctx context.Context, outputs []target.Artifact, out target.Blobs, res *target.Results) (err error) {
	if res.Values, err = l.bounded(ctx, ranks.ValuesFile, ranks.MaxValues); err != nil {
		return fmt.Errorf("$AMLFLOW_OUTPUTS: %w", err)
	}
	if res.Metrics, err = l.bounded(ctx, ranks.MetricsFile, ranks.MaxMetrics); err != nil {
		return fmt.Errorf("$AMLFLOW_METRICS: %w", err)
	}
	if kind := l.Left[tracking.StoreDir].Kind; kind == "folder" || kind == "odd" {
		var more []byte
		if res.Tracked, more, err = l.tracked(ctx, res.Metrics, out); err != nil {
			return err
		}
		res.Metrics = append(res.Metrics, more...)
	}
	for _, a := range outputs {
		ref, err := l.output(ctx, a, out)
		if err != nil {
			return fmt.Errorf("output %q: %w", a.Name, err)
		}
		if ref != "" {
			res.Artifacts[a.Name] = ref
		}
	}
	return nil
}

func outPath(a target.Artifact) string { return "out/" + a.Name }

// tracked stores what the client of MLflow has logged into the folder.
func (l leaver) tracked(ctx context.Context, metrics []byte, out target.Blobs) (kept target.Ref, more []byte, err error) {
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(l.call(ctx, nil, w, "fetch", l.Unit, tracking.StoreDir))
	}()
	kept, more, err = tracking.KeepStore(ctx, tar.NewReader(r), metrics, out)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // what comes after the end is nothing, or an error
	}
	r.CloseWithError(errUnread)
	return kept, more, err
}

// log stores the log; the name is empty when there is none.
func (l leaver) log(ctx context.Context, out target.Blobs) (target.Ref, error) {
	if l.Left[logPath].Kind != "file" {
		return "", nil
	}
	return l.PutFile(ctx, l.Unit, LogFile, func(r io.Reader) (target.Ref, error) { return target.PutLog(ctx, out, r) })
}

// bounded reads a regular file; the result is nil when there is none.
func (l leaver) bounded(ctx context.Context, name string, most int64) ([]byte, error) {
	switch f := l.Left[name]; {
	case absent(f):
		return nil, nil
	case f.Kind != "file":
		return nil, notRegular(f)
	case f.Size > most:
		return nil, fmt.Errorf("%d bytes were written, at most %d are read: declare an output of type file for large results: %w", f.Size, most, target.ErrPermanent)
	}
	var text bytes.Buffer
	_, err := l.Read(ctx, l.Unit, name, 0, &text)
	return text.Bytes(), err
}

// output stores an output; the name is empty when there is none. The folder that a model
// was given to fill counts only once something is in it.
func (l leaver) output(ctx context.Context, a target.Artifact, out target.Blobs) (target.Ref, error) {
	f := l.Left[outPath(a)]
	folder := f.Kind == "folder" || f.Kind == "empty" || f.Kind == "odd"
	switch {
	case absent(f):
		return "", nil
	case folder && a.Type == target.File:
		return "", fmt.Errorf("it is a folder, but declared as a file: %w", target.ErrPermanent)
	case f.Kind == "file" && a.Type == target.Folder:
		return "", fmt.Errorf("it is a file, but declared as a folder: %w", target.ErrPermanent)
	case f.Kind == "file":
		return l.PutFile(ctx, l.Unit, outPath(a), func(r io.Reader) (target.Ref, error) { return out.Put(ctx, r) })
	case f.Kind == "odd":
		return "", fmt.Errorf("%q is a link or a special file; only regular files and folders can be kept: copy what it points to, or leave it out: %w", f.Odd, target.ErrPermanent)
	case !folder:
		return "", notRegular(f)
	case f.Kind == "empty" && a.Type == target.Model:
		return "", nil
	}
	return l.PutTree(ctx, l.Unit, outPath(a), out)
}

func absent(f Left) bool { return f.Kind == "" || f.Kind == "absent" }

func notRegular(f Left) error {
	return fmt.Errorf("it is a %s; only a regular file is read: %w", f.Kind, target.ErrPermanent)
}
