package imports

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// maxText bounds what is read of a file before its own checks refuse it.
const maxText = 4 << 20

// suffixes end the names of the kinds of files.
var suffixes = map[string]string{"template": ".template.yaml", "pipeline": ".pipeline.yaml"}

// local reads a file of the workspace. Neither .. nor a link leads out of it.
func (im *Importer) local(kind, path, dir string) (string, []byte, schema.Import, *diag.Finding) {
	file := filepath.Join(dir, filepath.FromSlash(path))
	inside, err := filepath.Rel(im.root, file)
	if err != nil || !filepath.IsLocal(inside) {
		return refuse("bad-reference", "copy the file into that folder", "%q leads out of %q, the folder that files may use each other in", path, im.root)
	}
	text, problem := im.readLocal(kind, inside)
	if problem != nil {
		return "", nil, schema.Import{}, problem
	}
	folder := filepath.Dir(file)
	return im.shown(file), text, schema.Import{Key: "file:" + file, Folder: folder, Files: os.DirFS(folder), Origin: origin{dir: folder}}, nil
}

func (im *Importer) readLocal(kind, inside string) ([]byte, *diag.Finding) {
	root, err := os.OpenRoot(im.root)
	if err != nil {
		return nil, problem(missing(kind), "correct the path", "%q cannot be read: %s", inside, err)
	}
	defer root.Close()
	text, err := readPlain(root.FS(), filepath.ToSlash(inside), maxText)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, problem(missing(kind), nearFile(root, kind, inside), "there is no file %q", im.shown(filepath.Join(im.root, inside)))
	case strings.Contains(err.Error(), "escapes"): // the library has no name for it
		return nil, problem("bad-reference", "copy the file into that folder", "%q is a link that leads out of %q, the folder that files may use each other in", inside, im.root)
	}
	return nil, problem(missing(kind), "correct the path", "%q cannot be read: %s", inside, err)
}

// missing is the code of a file that is not there.
func missing(kind string) diag.Code {
	if kind == "pipeline" {
		return "missing-file"
	}
	return "missing-template"
}

// readPlain reads a file, unless it is something else, such as a pipe, or too large.
func readPlain(files fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("it has more than %d bytes", most)
	}
	return text, err
}

// nearFile proposes a file in the folder of the missing one.
func nearFile(root *os.Root, kind, inside string) string {
	dir, base := filepath.Split(inside)
	entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(filepath.Clean("./"+dir)))
	if err != nil {
		return fmt.Sprintf("there is no folder %q either; correct the path", filepath.Clean(dir))
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return nearName(kind, base, names)
}

// nearName proposes one of names: the nearest, or the only one of its kind.
func nearName(kind, base string, names []string) string {
	if near := diag.Nearest(base, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	var same []string
	for _, name := range names {
		if strings.HasSuffix(name, suffixes[kind]) {
			same = append(same, name)
		}
	}
	if near := diag.Nearest(strings.TrimSuffix(base, ".yaml")+suffixes[kind], same); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(same) == 1 {
		return fmt.Sprintf("did you mean %q, the only %s there?", same[0], kind)
	}
	return "make it, or correct the path"
}
