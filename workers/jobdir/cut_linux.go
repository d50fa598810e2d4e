package jobdir

import (
	"errors"
	"os"
	"syscall"
)

// free gives the disk back what a part of a file takes. The offsets behind it stay
// (fallocate(2)). Where the file system cannot do that the part stays on the disk.
func free(f *os.File, from, n int64) error {
	const keepSize, punchHole = 1, 2
	err := syscall.Fallocate(int(f.Fd()), keepSize|punchHole, from, n)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}
