package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Read implements target.Driver.
func (d Driver) Read(_ context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	f, err := d.folder(id)
	if err != nil {
		return offset, err
	}
	if offset < 0 || s.Rank < 0 {
		return offset, fmt.Errorf("there is no offset %d of rank %d: %w", offset, s.Rank, target.ErrPermanent)
	}
	switch s.Name {
	case target.Log:
		return jobdir.CopyLog(f.rank(s.Rank), offset, w)
	case target.Metrics:
		return jobdir.CopyFrom(filepath.Join(f.rank(s.Rank), ranks.MetricsFile), offset, w)
	}
	return offset, fmt.Errorf("there is no stream %q, only %q and %q: %w", s.Name, target.Log, target.Metrics, target.ErrPermanent)
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
	f, err := d.folder(id)
	if err != nil {
		return target.Results{}, err
	}
	r, ok, err := f.read()
	if err != nil || !ok {
		return target.Results{}, err // one that never was leaves nothing
	}
	// The disk is slow, so the end goes there while the rest is gathered.
	settled := make(chan error, 1)
	go func() { settled <- f.settle(r.Job.Ranks()) }()
	res, err := f.collect(ctx, r, st.Rank, out)
	if err = errors.Join(err, <-settled); err != nil {
		return res, fmt.Errorf("collect job %q: %w", id, err)
	}
	return res, nil
}

// settle makes durable how the ranks ended.
func (f folder) settle(nodes int) error {
	var errs []error
	for n := range nodes {
		errs = append(errs, jobdir.Settle(f.rank(n)))
	}
	return errors.Join(errs...)
}

func (f folder) collect(ctx context.Context, r record, decider int, out target.Blobs) (res target.Results, err error) {
	if res.Log, err = putLog(ctx, f.rank(decider), out); err != nil {
		return res, fmt.Errorf("the log: %w", err)
	}
	if res.Logs, err = f.putLogs(ctx, r, decider, res.Log, out); err != nil {
		return res, fmt.Errorf("the logs of the ranks: %w", err)
	}
	if res.Values, err = readBounded(filepath.Join(f.rank(0), ranks.ValuesFile), ranks.MaxValues); err != nil {
		return res, fmt.Errorf("$AMLFLOW_OUTPUTS: %w", err)
	}
	if res.Metrics, res.History, err = metrics(ctx, filepath.Join(f.rank(0), ranks.MetricsFile), maxMetrics, out); err != nil {
		return res, fmt.Errorf("$AMLFLOW_METRICS: %w", err)
	}
	if res.Tracked, err = tracking.Keep(ctx, string(f), out); err != nil {
		return res, fmt.Errorf("what it logged to MLflow: %w", err)
	}
	res.Artifacts = map[string]target.Ref{}
	for _, a := range r.Job.Outputs {
		ref, err := putOutput(ctx, out, filepath.Join(f.rank(0), "out", a.Name), a.Type)
		if err != nil {
			return res, fmt.Errorf("output %q: %w", a.Name, err)
		}
		if ref != "" {
			res.Artifacts[a.Name] = ref
		}
	}
	return res, nil
}

// putOutput stores the output at path; the name is empty when there is none.
// The folder that a model was given to fill counts only once something is in it.
func putOutput(ctx context.Context, out target.Blobs, path, typ string) (target.Ref, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	switch dir := info.IsDir(); {
	case dir && typ == target.File:
		return "", fmt.Errorf("it is a folder, but declared as a file: %w", target.ErrPermanent)
	case !dir && typ == target.Folder && info.Mode().IsRegular():
		return "", fmt.Errorf("it is a file, but declared as a folder: %w", target.ErrPermanent)
	case !dir:
		return putFile(ctx, path, out)
	}
	names, err := os.ReadDir(path)
	if err != nil || typ == target.Model && len(names) == 0 {
		return "", err
	}
	return target.PutTree(ctx, out, path, nil)
}

// putLog stores the log of a rank; the name is empty when there is none.
func putLog(ctx context.Context, dir string, out target.Blobs) (target.Ref, error) {
	log, err := jobdir.OpenLog(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", permanent(err)
	}
	defer log.Close()
	return target.PutLog(ctx, out, log)
}

// putLogs stores the logs of all ranks, of which that of one is stored already; the name
// is empty when there is only that.
func (f folder) putLogs(ctx context.Context, r record, stored int, log target.Ref, out target.Blobs) (target.Ref, error) {
	if r.Job.Ranks() == 1 {
		return "", nil
	}
	var all []target.Part
	for n := range r.Job.Ranks() {
		one := log
		if n != stored {
			var err error
			if one, err = putLog(ctx, f.rank(n), out); err != nil {
				return "", err
			}
		}
		if one != "" {
			all = append(all, target.Part{Name: strconv.Itoa(n), Ref: one})
		}
	}
	return target.JoinTree(ctx, out, all)
}

// putFile stores a regular file; the name is empty when there is none.
func putFile(ctx context.Context, path string, out target.Blobs) (target.Ref, error) {
	file, _, err := jobdir.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", permanent(err)
	}
	defer file.Close()
	return target.Adopt(ctx, out, file)
}

// readBounded reads a regular file; the result is nil when there is none.
func readBounded(path string, most int64) ([]byte, error) {
	file, info, err := jobdir.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, permanent(err)
	}
	defer file.Close()
	if info.Size() > most {
		return nil, fmt.Errorf("%d bytes were written, at most %d are read: declare an output of type file for large results: %w", info.Size(), most, target.ErrPermanent)
	}
	return io.ReadAll(io.LimitReader(file, most))
}

// permanent marks that a file is of a kind that will not be read next time
// either; any other trouble with it may pass.
func permanent(err error) error {
	if errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	return err
}
