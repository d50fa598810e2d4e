package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// trackedDir is where the client of MLflow keeps what the job logs.
const trackedDir = root + "/" + tracking.StoreDir

// tracks tells the client of MLflow where to keep what it is given, unless the stage does.
func (s *submission) tracks(env map[string]string) {
	if !tracking.Free(s.job) {
		return
	}
	own, said := env["PYTHONPATH"] // the image may have one; see findsPlugin
	tracking.StoreEnviron(env, root)
	if delete(env, "PYTHONPATH"); said {
		env["PYTHONPATH"] = own
	}
}

// findsPlugin is a line of shell by which the client finds its plugin before all else.
func (s *submission) findsPlugin() string {
	if !tracking.Free(s.job) {
		return ""
	}
	return "export PYTHONPATH=" + root + "/" + tracking.PluginDir + "${PYTHONPATH:+:$PYTHONPATH}\n"
}

// addTracking gives the container the folders that the client is told of.
func (s *submission) addTracking(w *tar.Writer) error {
	if !tracking.Free(s.job) {
		return nil
	}
	if err := addDir(w, trackedDir, openDir); err != nil {
		return err
	}
	files := tracking.StoreFiles()
	made := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if dir := path.Dir(name); !made[dir] {
			made[dir] = true
			if err := addDir(w, root+"/"+dir, readDir); err != nil {
				return err
			}
		}
		if err := addFile(w, root+"/"+name, readMode, []byte(files[name])); err != nil {
			return err
		}
	}
	return nil
}

// collectTracked stores what the client has kept.
func (e *engine) collectTracked(ctx context.Context, container string, res *target.Results, out target.Blobs) error {
	err := e.folder(ctx, container, trackedDir, func(a *tar.Reader) error {
		kept, more, err := tracking.KeepStore(ctx, a, res.Metrics, out)
		res.Tracked, res.Metrics = kept, append(res.Metrics, more...)
		return err
	})
	if err != nil {
		return fmt.Errorf("what it logged: %w", err)
	}
	return nil
}
