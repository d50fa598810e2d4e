package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// sumsName is the file of an export that has the digests of all others.
const sumsName = "SHA256SUMS"

// sums writes the digests of all files of a folder, in the form of sha256sum. The
// order is that of the names.
func sums(dir string) error {
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		fmt.Fprintf(&b, "%x  %s\n", sum.Sum(nil), filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, sumsName), b.Bytes(), 0o644) //nolint:gosec // it is made to be handed on
}

// Pack writes the folder dir as a gzipped tar archive whose files lie below top. The
// same files give the same bytes: names are in order, every time is at, and nobody
// owns anything.
func Pack(w io.Writer, dir, top string, at time.Time) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		return pack(archive, p, path.Join(top, filepath.ToSlash(rel)), d, at.UTC().Truncate(time.Second))
	})
	return errors.Join(err, archive.Close(), zipped.Close())
}

func pack(archive *tar.Writer, file, name string, d fs.DirEntry, at time.Time) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, ModTime: at, Mode: 0o644, Size: info.Size(), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	switch {
	case d.IsDir():
		h.Name, h.Mode, h.Size, h.Typeflag = name+"/", 0o755, 0, tar.TypeDir
	case info.Mode()&0o100 != 0:
		h.Mode = 0o755
	}
	if err := archive.WriteHeader(h); err != nil || d.IsDir() {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// IsExport reports whether a folder is one that Export wrote.
func IsExport(dir string) bool {
	for _, name := range []string{"record.json", "README.txt", sumsName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}
