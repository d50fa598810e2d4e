package jobdir

import (
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"
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

// Bytes is an amount of memory or of disk. In settings it is a number, or text such as
// "4Gi".
type Bytes int64

// UnmarshalJSON reads whole bytes, or a number with Ki, Mi, Gi or Ti.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	number, shift := s, 0
	for i, unit := range []string{"Ki", "Mi", "Gi", "Ti"} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			number, shift = n, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%s is not an amount of memory: write bytes, or a number with Ki, Mi, Gi or Ti", text)
	}
	*b = Bytes(n << shift)
	return nil
}
