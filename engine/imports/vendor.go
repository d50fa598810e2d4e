package imports

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema"
)

// Vendored is what became of the templates from git that a workspace uses.
type Vendored struct {
	Copied []string // files that were written, or were there already
	Edited []string // files that now name the copies
	Left   []Use    // places that a person must edit: the text is not written out there
}

// plainFolder is a folder whose name needs no quotes.
var plainFolder = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+$`)

// Vendor copies the templates that files use from git, and what these use, into a
// folder of the workspace, and has everything name the copies. Repositories keep
// their own layout there, so that their files find each other as before.
func (im *Importer) Vendor(s *Survey, folder string) (*Vendored, error) {
	top := filepath.Join(im.dir, folder)
	if inside, err := filepath.Rel(im.root, top); err != nil || !filepath.IsLocal(inside) || !plainFolder.MatchString(filepath.ToSlash(inside)) {
		return nil, fmt.Errorf("%q cannot hold the copies: name a folder of the workspace with letters, digits and . _ -: %w", folder, fs.ErrInvalid)
	}
	v := &vendor{im: im, top: top, files: map[string][]byte{}, modes: map[string]fs.FileMode{}, edits: map[string][]schema.Edit{}, places: map[string]Use{}}
	for _, u := range s.Uses {
		if err := v.take(u); err != nil {
			return nil, err
		}
	}
	return v.write()
}

type vendor struct {
	im     *Importer
	top    string
	files  map[string][]byte // the copies, by absolute path
	modes  map[string]fs.FileMode
	edits  map[string][]schema.Edit // by absolute path of the file
	places map[string]Use           // of the edits, by file and path
}

// home is where a file of a repository is copied to.
func (v *vendor) home(r schema.Ref) string {
	_, place, _ := strings.Cut(r.Repo, "://")
	if _, host, named := strings.Cut(place, "@"); named {
		place = host
	}
	place = strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(place, "/"), ":", "-"), ".git")
	return filepath.Join(v.top, filepath.FromSlash(path.Join(place, r.At, r.Inside)))
}

// take copies what is used, and notes the edit of the place that says it.
func (v *vendor) take(u Use) error {
	to, ok := u.in.Origin.(origin)
	if !ok || to.ref == nil {
		return nil
	}
	copied := v.home(*to.ref)
	if err := v.unit(u.in.Folder, filepath.Dir(copied)); err != nil {
		return err
	}
	from, _ := u.From.Origin.(origin)
	file, err := filepath.Abs(u.At.File)
	if from.ref != nil {
		file, err = v.home(*from.ref), nil
	}
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(filepath.Dir(file), copied)
	if err != nil {
		return err
	}
	if rel = filepath.ToSlash(rel); !strings.HasPrefix(rel, "../") {
		rel = "./" + rel
	}
	v.edits[file] = append(v.edits[file], schema.Edit{Path: u.Path, New: rel})
	u.Ref = rel
	v.places[file+u.Path] = u
	return nil
}

// unit takes a copy of all files of a unit.
func (v *vendor) unit(from, to string) error {
	return fs.WalkDir(os.DirFS(from), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		file := filepath.Join(to, filepath.FromSlash(name))
		if v.modes[file] = 0o644; info.Mode()&0o100 != 0 {
			v.modes[file] = 0o755
		}
		v.files[file], err = os.ReadFile(filepath.Join(from, filepath.FromSlash(name)))
		return err
	})
}

// write makes the edits, and writes nothing when something else is in the way.
func (v *vendor) write() (*Vendored, error) {
	out, changed := &Vendored{}, map[string][]byte{}
	for file, edits := range v.edits {
		text, isCopy := v.files[file]
		if !isCopy {
			var err error
			if text, err = os.ReadFile(file); err != nil {
				return nil, err
			}
		}
		now, left := rewrite(text, edits)
		for _, e := range left {
			out.Left = append(out.Left, v.places[file+e.Path])
		}
		if isCopy {
			v.files[file] = now
		} else if !bytes.Equal(now, text) {
			changed[file] = now
		}
	}
	if err := v.copies(out); err != nil {
		return nil, err
	}
	for file, text := range changed {
		if err := replaceFile(file, text); err != nil {
			return nil, err
		}
		out.Edited = append(out.Edited, v.im.shown(file))
	}
	if len(out.Left) == 0 {
		for ref := range v.im.seen {
			v.im.lock.Remove(ref)
		}
	}
	slices.Sort(out.Copied)
	slices.Sort(out.Edited)
	return out, nil
}

// rewrite fills in what each place says now, and makes the edits that are needed.
func rewrite(text []byte, edits []schema.Edit) ([]byte, []schema.Edit) {
	source, _ := schema.Read("", text)
	var needed []schema.Edit
	for _, e := range edits {
		if e.Old, _ = source.Text(e.Path); path.Clean(e.Old) != path.Clean(e.New) {
			needed = append(needed, e)
		}
	}
	return schema.Rewrite(text, needed)
}

// copies writes the copies. One that is there with other content is left alone.
func (v *vendor) copies(out *Vendored) error {
	for file, text := range v.files {
		if there, err := os.ReadFile(file); err == nil && !bytes.Equal(there, text) {
			return fmt.Errorf("%q is there already with other content, and nothing was written: remove it, or name another folder: %w", v.im.shown(file), fs.ErrExist)
		}
	}
	for file, text := range v.files {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, v.modes[file]); err != nil {
			return err
		}
		out.Copied = append(out.Copied, v.im.shown(file))
	}
	return nil
}

// replaceFile writes a file whole, with the permissions that it has.
func replaceFile(file string, text []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
