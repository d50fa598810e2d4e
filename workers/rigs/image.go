package rigs

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var imageID = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// Import makes an image of the files that fill writes, called by a name with a tag.
// changes are lines as in a Dockerfile.
func (e *Engine) Import(name string, fill func(*tar.Writer) error, changes ...string) error {
	return ImportTo(e.client(), name, fill, changes...)
}

// ImportTo does so through a client that reaches an engine whatever it is asked for.
func ImportTo(c *http.Client, name string, fill func(*tar.Writer) error, changes ...string) error {
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		err := fill(archive)
		if err == nil {
			err = archive.Close()
		}
		w.CloseWithError(err)
	}()
	said, err := post(c, "/images/create?"+url.Values{"fromSrc": {"-"}, "changes": changes}.Encode(), r)
	r.Close()
	if err != nil {
		return err
	}
	repository, tag, _ := strings.Cut(path.Base(name), ":")
	_, err = post(c, "/images/"+imageID.FindString(said)+"/tag?"+url.Values{"repo": {path.Join(path.Dir(name), repository)}, "tag": {tag}}.Encode(), http.NoBody)
	return err
}

func post(c *http.Client, where string, body io.Reader) (string, error) {
	r, err := c.Post("http://engine/v1.41"+where, "application/x-tar", body)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	said, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode >= 300 || strings.Contains(string(said), `"error"`) {
		err = fmt.Errorf("the engine says %s: %s", r.Status, said)
	}
	return string(said), err
}

// Busybox is the content of an image with a static busybox, a link to it for each of its
// tools, and a user called nobody. It sets no variables.
func Busybox(w *tar.Writer) error {
	program, err := os.ReadFile(Program("busybox"))
	if err != nil {
		return err
	}
	list, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		return err
	}
	if err := addDirs(w, "bin", "etc"); err != nil {
		return err
	}
	if err := AddFile(w, "bin/busybox", 0o755, program); err != nil {
		return err
	}
	for _, tool := range strings.Fields(string(list)) {
		if tool == "busybox" {
			continue
		}
		if err := addLink(w, "bin/"+tool, "busybox"); err != nil {
			return err
		}
	}
	return AddFile(w, "etc/passwd", 0o644, users)
}

var users = []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")

// tools are the programs of the Python image beside Python.
var tools = []string{"sh", "cat", "cp", "dd", "env", "fallocate", "grep", "head", "id", "ls", "mkdir", "mv", "rm", "seq", "sleep", "stat", "tail", "touch", "tr", "true", "wc", "yes"}

// Python is the content of an image with the machine's own /usr/bin/python3, its standard
// library, and the usual tools of a Debian. It is made in a second or two.
func Python(w *tar.Writer) error {
	const python = "/usr/bin/python3"
	library, err := exec.Command(python, "-I", "-c", `import sysconfig; print(sysconfig.get_path("stdlib"))`).Output()
	if err != nil {
		return fmt.Errorf("%w: there is no %s: apt-get install -y python3", ErrMissing, python)
	}
	stdlib := strings.TrimSpace(string(library))
	programs := []string{python}
	for _, name := range tools {
		if p := Program(name); p != "" {
			programs = append(programs, p)
		}
	}
	modules, err := filepath.Glob(filepath.Join(stdlib, "lib-dynload", "*.so"))
	if err != nil {
		return err
	}
	libraries, err := librariesOf(append(slices.Clone(programs), modules...))
	if err != nil {
		return err
	}
	if err := addDirs(w, "etc", "usr", "usr/bin", "usr/lib", "usr/lib64"); err != nil {
		return err
	}
	for _, link := range []string{"bin", "lib", "lib64"} {
		if err := addLink(w, link, "usr/"+link); err != nil {
			return err
		}
	}
	if err := AddFile(w, "etc/passwd", 0o644, users); err != nil {
		return err
	}
	for _, p := range programs {
		if err := addAs(w, p, "usr/bin/"+filepath.Base(p)); err != nil {
			return err
		}
	}
	for _, p := range libraries {
		to := strings.TrimPrefix(p, "/")
		if !strings.HasPrefix(to, "usr/") {
			to = "usr/" + to // /lib and /lib64 are links
		}
		if err := addAs(w, p, to); err != nil {
			return err
		}
	}
	if err := addLibrary(w, stdlib); err != nil {
		return err
	}
	return addWheels(w)
}

// addWheels adds what Debian's Python needs to make environments, if it is there.
func addWheels(w *tar.Writer) error {
	const dir = "usr/share/python-wheels"
	wheels, err := filepath.Glob("/" + dir + "/*.whl")
	if err != nil || len(wheels) == 0 {
		return err
	}
	if err := addDirs(w, "usr/share", dir); err != nil {
		return err
	}
	for _, p := range wheels {
		if err := addAs(w, p, strings.TrimPrefix(p, "/")); err != nil {
			return err
		}
	}
	return nil
}

// library finds a path in what ldd prints.
var library = regexp.MustCompile(`(?m)^\s+(?:\S+ => )?(/\S+) \(0x`)

func librariesOf(programs []string) ([]string, error) {
	said, err := exec.Command("ldd", programs...).Output() // some are no dynamic programs
	found := map[string]bool{}
	for _, m := range library.FindAllStringSubmatch(string(said), -1) {
		found[m[1]] = true
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("ldd finds no libraries of %v: %w", programs, err)
	}
	var all []string
	for p := range found {
		all = append(all, p)
	}
	slices.Sort(all)
	return all, nil
}

// addLibrary adds the standard library without what no job needs.
func addLibrary(w *tar.Writer, dir string) error {
	unneeded := []string{"test", "tests", "idlelib", "tkinter", "lib2to3", "pydoc_data", "turtledemo", "dist-packages", "site-packages"}
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains(unneeded, d.Name()) || strings.HasPrefix(d.Name(), "config-")):
			return fs.SkipDir
		case d.IsDir():
			return addDirs(w, strings.TrimPrefix(p, "/"))
		}
		return addAs(w, p, strings.TrimPrefix(p, "/"))
	})
}

// addAs adds a file of this computer, or what a link leads to, under another name.
func addAs(w *tar.Writer, p, name string) error {
	content, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: int64(len(content)), ModTime: info.ModTime()}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// AddFile adds a file.
func AddFile(w *tar.Writer, name string, mode int64, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

func addDirs(w *tar.Writer, names ...string) error {
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	return nil
}

func addLink(w *tar.Writer, name, to string) error {
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777})
}
