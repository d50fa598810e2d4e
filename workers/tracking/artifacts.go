package tracking

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxFile is the most bytes of one artifact.
const maxFile = 256 << 30

// routes are all that the API has. What is not among them is told in MLflow's words, by
// which the client takes another way where it knows one.
func (d *desk) routes(mux *http.ServeMux) {
	d.experimentRoutes(mux)
	d.runRoutes(mux)
	d.metricRoutes(mux)
	d.modelRoutes(mux)
	d.registryRoutes(mux)
	d.traceRoutes(mux)
	d.handle(mux, "GET artifacts/list", does((*job).listArtifacts))
	const files = "/api/2.0/mlflow-artifacts/artifacts"
	mux.HandleFunc("GET "+files, d.files((*job).list))
	mux.HandleFunc("GET "+files+"/{path...}", d.files((*job).download))
	mux.HandleFunc("PUT "+files+"/{path...}", d.files((*job).upload))
	mux.HandleFunc("DELETE "+files+"/{path...}", d.files((*job).remove))
	// What the client asks before it uploads a large file: nothing beyond the plain way.
	mux.HandleFunc("GET /api/3.0/mlflow/server-info", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]bool{"multipart_uploads_enabled": false, "multipart_downloads_enabled": false, "workspaces_enabled": false})
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) })
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		d.log.Info("asked for what is not offered", "method", q.Method, "path", q.URL.Path)
		refuse(w, &problem{http.StatusNotFound, "ENDPOINT_NOT_FOUND", fmt.Sprintf("amlflow has no %s %s", q.Method, q.URL.Path)})
	})
}

// files makes a handler of what is done with the artifacts of a job. Others may go on
// beside it.
func (d *desk) files(do func(j *job, root *os.Root, w http.ResponseWriter, q *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		j, err := d.admitted(q)
		if err == nil {
			err = j.withFiles(func(root *os.Root) error { return do(j, root, w, q) })
		}
		if err != nil {
			d.tell(q, err)
			refuse(w, err)
		}
	}
}

func (j *job) withFiles(do func(root *os.Root) error) error {
	if err := os.MkdirAll(j.path(filesDir), 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(j.path(filesDir))
	if err != nil {
		return err
	}
	defer root.Close()
	return do(root)
}

// inside is a path below the folder of all artifacts.
func inside(said string) (string, error) {
	p := filepath.FromSlash(path.Clean(strings.Trim(said, "/")))
	if said == "" {
		p = "."
	}
	if !filepath.IsLocal(p) {
		return "", invalid("%q is no path of an artifact", said)
	}
	return p, nil
}

// upload takes a file as a whole, or not at all.
func (j *job) upload(root *os.Root, w http.ResponseWriter, q *http.Request) error {
	p, err := inside(q.PathValue("path"))
	if err != nil || p == "." || ofRecord(p) {
		return errors.Join(err, invalid("an artifact has a path, which is its own"))
	}
	tmp := j.path("upload." + rand.Text()[:12])
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	body := http.MaxBytesReader(w, q.Body, maxFile)
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("take the artifact %q: %w", p, err)
	}
	if err := root.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	if info, err := root.Stat(p); err == nil && info.IsDir() {
		return invalid("%q is a folder", p)
	}
	if err := os.Rename(tmp, j.path(filesDir, p)); err != nil {
		return err
	}
	reply(w, http.StatusOK, nil)
	return nil
}

func (j *job) download(root *os.Root, w http.ResponseWriter, q *http.Request) error {
	p, err := inside(q.PathValue("path"))
	if err != nil {
		return err
	}
	if ofRecord(p) {
		return j.downloadRecorded(w, q, p)
	}
	f, err := root.Open(p)
	if err != nil {
		return noArtifact(p, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return noArtifact(p, errors.Join(err, fs.ErrNotExist))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, q, "", info.ModTime(), f)
	return nil
}

func noArtifact(p string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return missing("this job has logged no artifact %q", p)
	}
	return err
}

func (j *job) remove(root *os.Root, w http.ResponseWriter, q *http.Request) error {
	p, err := inside(q.PathValue("path"))
	if err != nil || p == "." {
		return errors.Join(err, invalid("an artifact has a path"))
	}
	if err := root.RemoveAll(p); err != nil {
		return err
	}
	reply(w, http.StatusOK, nil)
	return nil
}

// file is an artifact in a list. Its path is below what was listed, or below the run.
type file struct {
	Path string `json:"path"`
	Dir  bool   `json:"is_dir"`
	Size int64  `json:"file_size,omitempty"`
}

func (j *job) list(root *os.Root, w http.ResponseWriter, q *http.Request) error {
	p, err := inside(q.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	if ofRecord(p) {
		return j.listRecorded(w, q, p)
	}
	all, err := entries(root, p)
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, map[string]any{"files": all})
	return nil
}

// entries lists a folder, and nothing of what is none.
func entries(root *os.Root, dir string) ([]file, error) {
	all := []file{}
	found, err := fs.ReadDir(root.FS(), filepath.ToSlash(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if info, e := root.Stat(dir); e == nil && !info.IsDir() {
		return all, nil
	}
	for _, e := range found {
		f := file{Path: e.Name(), Dir: e.IsDir()}
		if info, err := e.Info(); err == nil && !f.Dir {
			f.Size = info.Size()
		}
		all = append(all, f)
	}
	return all, err
}

func (j *job) listArtifacts(in struct {
	runIn
	Path string `json:"path"`
}) (any, error) {
	r, err := j.run(in.id())
	if err != nil {
		return nil, err
	}
	return j.listed(artifactsOf("runs", r.info.ID), "runs/"+r.info.ID, in.Path)
}

// listed lists a folder of what belongs to a run or model.
func (j *job) listed(uri, of, below string) (any, error) {
	p, err := inside(of + "/" + below)
	if err != nil {
		return nil, err
	}
	var all []file
	if err := j.withFiles(func(root *os.Root) (err error) { all, err = entries(root, p); return err }); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Path = path.Join(below, all[i].Path)
	}
	return map[string]any{"root_uri": uri, "files": all}, nil
}
