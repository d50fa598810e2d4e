package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxRecord bounds one record.
const maxRecord = 8 << 20

// Record returns the small record that is kept under name, such as "results/ab12";
// nil when there is none.
func (s Folder) Record(_ context.Context, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(s.dir, "records", filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record %q: %w", name, err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRecord))
}

// SetRecord keeps text under name, in place of what was there. Readers see the old
// record or the new one, never half of it.
func (s Folder) SetRecord(_ context.Context, name string, text []byte) error {
	path := filepath.FromSlash(name)
	if !filepath.IsLocal(path) || len(text) > maxRecord {
		return fmt.Errorf("the record %q of %d bytes cannot be kept", name, len(text))
	}
	to := filepath.Join(s.dir, "records", path)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("keep the record %q: %w", name, err)
	}
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "record-*")
	if err != nil {
		return fmt.Errorf("keep the record %q: %w", name, err)
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, bytes.NewReader(text))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("keep the record %q: %w", name, err)
	}
	return errors.Join(os.Rename(tmp.Name(), to), syncDir(filepath.Dir(to)))
}
