//go:build !linux

package blob

import "os"

// unwritten cannot be found out here, so that files are copied.
func unwritten(*os.File) bool { return false }
