package expr_test

import "syscall"

// peak is the most memory that a process held, in bytes.
func peak(u *syscall.Rusage) int64 { return u.Maxrss << 10 }
