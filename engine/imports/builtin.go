package imports

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/specs"
)

// builtin gives a template that comes with this program. Jobs need its scripts as
// files: they are put below the state folder, under their digest.
func (im *Importer) builtin(name string) (string, []byte, schema.Import, *diag.Finding) {
	file := name + suffixes["template"]
	text, err := fs.ReadFile(specs.Templates(), file)
	if err != nil {
		return refuse("missing-template", nearBuiltin(name), "no template named %q comes with amlflow", name)
	}
	unit, err := im.ownUnit(file, text)
	if err != nil {
		return refuse("missing-template", "correct that, or set AMLFLOW_HOME to another folder", "the files of %q cannot be put below the state folder: %s", "builtin/"+name, err)
	}
	in := schema.Import{Key: "builtin/" + name, Folder: unit, Files: specs.Templates(), Origin: origin{builtin: true}}
	return "builtin/" + name, text, in, nil
}

func nearBuiltin(name string) string {
	if near := diag.Nearest(name, specs.Names()); near != "" {
		return fmt.Sprintf("did you mean %q?", "builtin/"+near)
	}
	return "write builtin/ and one of " + strings.Join(specs.Names(), ", ")
}

// ownUnit is the folder of one template of ours. It is made, or mended, when
// something is to be kept at all.
func (im *Importer) ownUnit(file string, text []byte) (string, error) {
	m := &memory{files: map[string][]byte{file: text}}
	for _, folder := range ships(text) {
		if err := m.take(specs.Templates(), folder); err != nil {
			return "", err
		}
	}
	want := m.digest()
	place := filepath.Join(im.cache, "builtin", strings.TrimSuffix(file, suffixes["template"])+"-"+strings.TrimPrefix(want, "sha256:")[:16])
	if got, err := digest(os.DirFS(place)); !im.o.Fetch || err == nil && got == want {
		use(place)
		return place, nil
	}
	if err := os.RemoveAll(place); err != nil {
		return "", err
	}
	unit, err := begin(im.cache)
	if err != nil {
		return "", err
	}
	if err := m.fill(unit); err != nil {
		return "", errors.Join(err, unit.drop())
	}
	return place, unit.keep(place)
}

// memory is a unit that is not on disk.
type memory struct{ files map[string][]byte }

func (m *memory) take(from fs.FS, folder string) error {
	return fs.WalkDir(from, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		m.files[name], err = fs.ReadFile(from, name)
		return err
	})
}

func (m *memory) fill(unit *making) error {
	for name, text := range m.files {
		if err := unit.add(name, false, int64(len(text)), bytes.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) digest() string {
	var lines []string
	for name, text := range m.files {
		sum := sha256.Sum256(text)
		lines = append(lines, lineOf(name, false, int64(len(text)), sum[:]))
	}
	return digestOf(lines)
}
