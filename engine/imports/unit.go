package imports

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/schema"
)

// A unit is a folder that holds one file which is used, under its own name, and the
// folders that it ships, where they lie beside it. Units are made whole, and never
// changed.

// The bounds of a unit. They are far above what code needs.
const (
	maxFiles = 2000
	maxFile  = 16 << 20
	maxUnit  = 64 << 20
)

// ships lists the folders, relative to the file, that running it needs. Its content
// says what it is: who names it may be wrong, and the digest must not depend on that.
func ships(text []byte) []string {
	var folders []string
	add := func(stages []schema.Stage, otherwise string) {
		for _, s := range stages {
			if code := first(s.Code, otherwise); code != "" && filepath.IsLocal(code) && !slices.Contains(folders, path.Clean(code)) {
				folders = append(folders, path.Clean(code))
			}
		}
	}
	source, _ := schema.Read("", text)
	if _, isPipeline := source.Text("/pipeline"); isPipeline {
		p, _ := schema.ReadPipeline("", text)
		add(p.Stages, ".")
		add(p.Finally, ".")
		return folders
	}
	t, _ := schema.ReadTemplate("", text)
	add([]schema.Stage{t.Stage}, "") // without `code` it runs in the code of whoever uses it
	return folders
}

// digest names the content of a unit: which files it has, which of them can be
// executed, and what is in them.
func digest(unit fs.FS) (string, error) {
	var lines []string
	err := fs.WalkDir(unit, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%q is not a file", name)
		}
		sum, err := sumOf(unit, name)
		lines = append(lines, lineOf(name, info.Mode()&0o100 != 0, info.Size(), sum))
		return err
	})
	return digestOf(lines), err
}

func lineOf(name string, program bool, size int64, sum []byte) string {
	kind := "file"
	if program {
		kind = "program"
	}
	return fmt.Sprintf("%q %s %d %x\n", name, kind, size, sum)
}

func digestOf(lines []string) string {
	slices.Sort(lines)
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.Join(lines, ""))))
}

func sumOf(unit fs.FS, name string) ([]byte, error) {
	f, err := unit.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	one := sha256.New()
	_, err = io.Copy(one, f)
	return one.Sum(nil), err
}

// making is a unit that is not complete yet.
type making struct {
	dir   string
	root  *os.Root
	files int
	bytes int64
}

// begin makes a unit in a fresh folder below the cache.
func begin(cache string) (*making, error) {
	tmp := filepath.Join(cache, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(tmp, "unit-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &making{dir: dir, root: root}, nil
}

// add writes one file. Names come from strangers: what could be more than a file in
// this folder is refused.
func (m *making) add(name string, program bool, size int64, content io.Reader) error {
	if !plainName(name) {
		return fmt.Errorf("%q is not a name that files of a template may have", name)
	}
	if m.files, m.bytes = m.files+1, m.bytes+size; m.files > maxFiles || m.bytes > maxUnit || size > maxFile {
		return fmt.Errorf("it ships more than %d files, %d MiB, or %d MiB in one file: name a smaller folder in its `code`", maxFiles, maxUnit>>20, maxFile>>20)
	}
	if err := m.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if program {
		mode = 0o700
	}
	f, err := m.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%q is there twice on this computer, which does not tell small from large letters", name)
	}
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, content, size)
	return errors.Join(err, f.Close())
}

// plainName is stricter than fs.ValidPath.
func plainName(name string) bool {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:") || len(name) > 1000 {
		return false
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\ufffd' {
			return false
		}
	}
	for step := range strings.SplitSeq(name, "/") {
		if strings.EqualFold(step, ".git") {
			return false
		}
	}
	return true
}

// digest names what was added so far.
func (m *making) digest() (string, error) { return digest(os.DirFS(m.dir)) }

// sweep removes what commands have left behind that were killed.
func sweep(cache string) {
	tmp := filepath.Join(cache, "tmp")
	entries, _ := os.ReadDir(tmp)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(filepath.Join(tmp, e.Name()))
		}
	}
}

// drop gives up.
func (m *making) drop() error { return errors.Join(m.root.Close(), os.RemoveAll(m.dir)) }

// keep puts the unit at its place, whole. Another command may have been quicker.
func (m *making) keep(place string) error {
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return errors.Join(err, m.drop())
	}
	err := errors.Join(m.root.Close(), os.Rename(m.dir, place))
	if err != nil && isFolder(place) {
		return os.RemoveAll(m.dir)
	}
	return err
}

func isFolder(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir()
}
