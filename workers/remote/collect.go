package remote

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// logPath is where the log is, seen from the folder of what a unit has left.
const logPath = "../" + LogFile

// Leaver is a rank of a job that has ended, and what Report tells of it.
type Leaver struct {
	*Machine
	Unit string
	Left map[string]Left
}

// Wanted are the names to ask Report for before Collect.
func Wanted(outputs []target.Artifact) []string {
	names := []string{logPath, ranks.ValuesFile, ranks.MetricsFile, tracking.StoreDir}
	for _, a := range outputs {
		names = append(names, outPath(a))
	}
	return names
}

// Collect stores what a job has left: what its first rank produced, and the log of the
// one that decided its end.
func Collect(ctx context.Context, first, decider Leaver, outputs []target.Artifact, out target.Blobs) (target.Results, error) {
	res, err := target.Results{Artifacts: map[string]target.Ref{}}, error(nil)
	if res.Log, err = decider.log(ctx, out); err != nil {
		return res, fmt.Errorf("the log: %w", err)
	}
	if res.Values, err = first.bounded(ctx, ranks.ValuesFile, ranks.MaxValues); err != nil {
		return res, fmt.Errorf("$AMLFLOW_OUTPUTS: %w", err)
	}
	if res.Metrics, err = first.bounded(ctx, ranks.MetricsFile, ranks.MaxMetrics); err != nil {
		return res, fmt.Errorf("$AMLFLOW_METRICS: %w", err)
	}
	if kind := first.Left[tracking.StoreDir].Kind; kind == "folder" || kind == "odd" {
		var more []byte
		if res.Tracked, more, err = first.tracked(ctx, res.Metrics, out); err != nil {
			return res, err
		}
		res.Metrics = append(res.Metrics, more...)
	}
	for _, a := range outputs {
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

// tracked stores what the client of MLflow has logged into the folder.
func (l Leaver) tracked(ctx context.Context, metrics []byte, out target.Blobs) (kept target.Ref, more []byte, err error) {
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
func (l Leaver) log(ctx context.Context, out target.Blobs) (target.Ref, error) {
	if l.Left[logPath].Kind != "file" {
		return "", nil
	}
	return l.PutFile(ctx, l.Unit, LogFile, func(r io.Reader) (target.Ref, error) { return target.PutLog(ctx, out, r) })
}

// bounded reads a regular file; the result is nil when there is none.
func (l Leaver) bounded(ctx context.Context, name string, most int64) ([]byte, error) {
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
func (l Leaver) output(ctx context.Context, a target.Artifact, out target.Blobs) (target.Ref, error) {
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
