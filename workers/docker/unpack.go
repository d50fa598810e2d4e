package docker

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// unpack writes the wanted entries of an archived folder into the folder dir. Only regular
// files and folders are taken; a second name of a file is a file.
func unpack(archive *tar.Reader, dir string, wanted map[string]bool) error {
	return unpackEach(archive, dir, func(h *tar.Header, into *os.Root, name string) error {
		if top, _, _ := strings.Cut(name, "/"); !wanted[top] {
			return nil
		}
		return unpackOne(archive, h, into, filepath.FromSlash(name))
	})
}

// unpackEach hands each entry of an archived folder to take, to be written into the folder dir,
// which nothing leaves whatever the archive says. The names in it begin with that of the folder.
func unpackEach(archive *tar.Reader, dir string, take func(h *tar.Header, into *os.Root, name string) error) error {
	into, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer into.Close()
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := below(h.Name)
		if !ok {
			continue
		}
		if err := take(h, into, name); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
}

// below returns the path of an entry without the folder that was asked for; not ok is
// that folder itself.
func below(name string) (string, bool) {
	_, rest, ok := strings.Cut(path.Clean(strings.TrimPrefix(name, "/")), "/")
	return rest, ok
}

func unpackOne(archive *tar.Reader, h *tar.Header, into *os.Root, name string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return into.MkdirAll(name, 0o700)
	case tar.TypeLink:
		return link(into, h.Linkname, name)
	case tar.TypeReg:
		return writeFile(archive, h, into, name)
	}
	return fmt.Errorf("it is a link or a special file; only regular files and folders can be kept: copy what it points to, or leave it out: %w", target.ErrPermanent)
}

// link gives a file that was unpacked before a second name. Engines write the first one
// as they write names, or without the folder.
func link(into *os.Root, first, name string) error {
	from, _ := below(first)
	err := into.Link(filepath.FromSlash(from), name)
	if errors.Is(err, fs.ErrNotExist) || from == "" {
		err = into.Link(filepath.FromSlash(strings.TrimPrefix(first, "/")), name)
	}
	if err != nil {
		return fmt.Errorf("it is a second name of %q, which is not among the outputs: %w: %w", first, err, target.ErrPermanent)
	}
	return nil
}

func writeFile(archive *tar.Reader, h *tar.Header, into *os.Root, name string) error {
	if err := into.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if h.FileInfo().Mode()&0o111 != 0 {
		mode = 0o700
	}
	f, err := into.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, archive)
	return errors.Join(err, f.Close())
}
