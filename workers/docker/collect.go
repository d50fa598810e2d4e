package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// The most that is read of values and metrics: more belongs into an artifact.
const (
	maxValues  = 1 << 20
	maxMetrics = 32 << 20
)

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return target.Results{}, err
	}
	if !st.State.Ended() {
		return target.Results{}, fmt.Errorf("job %q is %s: its results can be collected once it has ended", id, st.State)
	}
	e, err := connect(t)
	if err != nil {
		return target.Results{}, err
	}
	f, err := e.find(ctx, id)
	if err != nil || f.box == nil || !started(f.box) {
		return target.Results{}, err // one that never was leaves nothing
	}
	r, err := recordOf(*f.box)
	if err != nil {
		return target.Results{}, err
	}
	res, err := d.collect(ctx, e, id, f.box.ID, r, st.Rank, out)
	if err != nil {
		return res, fmt.Errorf("collect job %q: %w", id, err)
	}
	return res, nil
}

func (d Driver) collect(ctx context.Context, e *engine, id, container string, r record, decider int, out target.Blobs) (res target.Results, err error) {
	if res.Log, err = e.putLog(ctx, container, decider, r, out); err != nil {
		return res, fmt.Errorf("the log: %w", err)
	}
	if res.Logs, err = e.putLogs(ctx, container, r, decider, res.Log, out); err != nil {
		return res, fmt.Errorf("the logs of the ranks: %w", err)
	}
	if err = e.folder(ctx, container, reportDir, func(a *tar.Reader) error { return readReport(a, &res) }); err != nil {
		return res, err
	}
	if err = e.collectTracked(ctx, container, &res, out); err != nil {
		return res, err
	}
	res.Artifacts = map[string]target.Ref{}
	if len(r.Outputs) == 0 {
		return res, nil
	}
	spool, err := d.spool(id)
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(spool)
	wanted := map[string]bool{}
	for _, a := range r.Outputs {
		wanted[a.Name] = true
	}
	if err := e.folder(ctx, container, outDir, func(a *tar.Reader) error { return unpack(a, spool, wanted) }); err != nil {
		return res, err
	}
	for _, a := range r.Outputs {
		ref, err := putOutput(ctx, out, filepath.Join(spool, a.Name), a.Type)
		if err != nil {
			return res, fmt.Errorf("output %q: %w", a.Name, err)
		}
		if ref != "" {
			res.Artifacts[a.Name] = ref
		}
	}
	return res, nil
}

// putLogs stores the logs of all ranks, of which that of one is stored already; the name
// is empty when there is only that.
func (e *engine) putLogs(ctx context.Context, container string, r record, stored int, log target.Ref, out target.Blobs) (target.Ref, error) {
	if r.ranks() == 1 {
		return "", nil
	}
	var all []target.Part
	for n := range r.ranks() {
		one := log
		if n != stored {
			var err error
			if one, err = e.putLog(ctx, container, n, r, out); err != nil {
				return "", err
			}
		}
		if one != "" {
			all = append(all, target.Part{Name: strconv.Itoa(n), Ref: one})
		}
	}
	return target.JoinTree(ctx, out, all)
}

// readReport reads what the job reported, from the archive of its folder. Only there a
// link shows as one: an engine that is asked for the file may follow it.
func readReport(archive *tar.Reader, res *target.Results) error {
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch name, _ := below(h.Name); name {
		case path.Base(valuesFile):
			if res.Values, err = readBounded(archive, h, maxValues); err != nil {
				return fmt.Errorf("$AMLFLOW_OUTPUTS: %w", err)
			}
		case path.Base(metricsFile):
			if res.Metrics, err = readBounded(archive, h, maxMetrics); err != nil {
				return fmt.Errorf("$AMLFLOW_METRICS: %w", err)
			}
		}
	}
}

func readBounded(archive *tar.Reader, h *tar.Header, most int64) ([]byte, error) {
	switch {
	case h.Typeflag != tar.TypeReg:
		return nil, fmt.Errorf("it is a %s; only a regular file is read: %w", describe(h.FileInfo().Mode()), target.ErrPermanent)
	case h.Size > most:
		return nil, fmt.Errorf("%d bytes were written, at most %d are read: declare an output of type file for large results: %w", h.Size, most, target.ErrPermanent)
	}
	return io.ReadAll(archive)
}

// folder reads a folder of a container as an archive. One that the job removed is
// empty.
func (e *engine) folder(ctx context.Context, container, dir string, read func(*tar.Reader) error) error {
	stat, err := e.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: dir})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return e.trouble("look at "+dir, err)
	}
	if !stat.Stat.Mode.IsDir() {
		return fmt.Errorf("%q was replaced by a %s: %w", dir, describe(stat.Stat.Mode), target.ErrPermanent)
	}
	r, err := e.CopyFromContainer(ctx, container, client.CopyFromContainerOptions{SourcePath: dir})
	if err != nil {
		return e.trouble("read "+dir, err)
	}
	defer r.Content.Close()
	if err := read(tar.NewReader(r.Content)); err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	return nil
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
	case !dir && typ == target.Folder:
		return "", fmt.Errorf("it is a file, but declared as a folder: %w", target.ErrPermanent)
	case !dir:
		return adopt(ctx, out, path)
	}
	names, err := os.ReadDir(path)
	if err != nil || typ == target.Model && len(names) == 0 {
		return "", err
	}
	return target.PutTree(ctx, out, path, nil)
}

// adopt stores a file that is needed no longer.
func adopt(ctx context.Context, out target.Blobs, path string) (target.Ref, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return target.Adopt(ctx, out, f)
}
