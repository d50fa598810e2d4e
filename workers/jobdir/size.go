package jobdir

import (
	"io/fs"
	"path/filepath"
)

// Size returns how many bytes the files below a folder hold. What cannot be read
// counts nothing.
func Size(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what has gone meanwhile takes no room
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
