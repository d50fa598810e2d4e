package jobdir

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// census is what one look at all processes of the machine has found.
type census struct {
	marked map[string][]int // the pids that carry a mark, by the folder that it names
	// unclear counts those in the middle of an exec, whose environment is not
	// there yet: they may carry any mark.
	unclear int
}

// The marks of processes are looked for after the end of every job, and many jobs
// may end at once, so that looks are shared and remember what they have seen.
//
// It is right to remember: a process is born with the environment of its parent,
// so all that descend from a supervisor carry its mark from the first moment on.
// Only the supervisor itself begins without, as a copy of the program that starts
// it; killAll looks at it by its pid. What sheds the mark in an exec is beyond us
// in any case.
var processes = shared[census]{do: new(register).look}

// register remembers the marks of the processes that were alive at the last look.
type register struct {
	known map[int]entry
	names [32 << 10]byte // what is read of the folder /proc
	env   []byte
}

type entry struct {
	// inode is that of /proc/PID. The kernel gives each process another one, so
	// that a pid that was given again is noticed.
	inode  uint64
	folder string // empty: no mark
}

// look lists the processes and reads the environment of those that are new.
func (r *register) look() census {
	c := census{marked: map[string][]int{}}
	alive := make(map[int]entry, len(r.known))
	err := r.list(func(pid int, inode uint64) {
		e, ok := r.known[pid]
		if !ok || e.inode != inode {
			if e, ok = r.meet(pid, inode); !ok {
				c.unclear++
				return
			}
		}
		alive[pid] = e
		if e.folder != "" {
			c.marked[e.folder] = append(c.marked[e.folder], pid)
		}
	})
	if err != nil {
		c.unclear++ // too many open files, say: those that were not seen may be there
	}
	r.known = alive
	return c
}

// list calls f for each process. It reads the folder itself, because the inodes
// stand there beside the names, and os does not give them (getdents64(2)).
func (r *register) list(f func(pid int, inode uint64)) error {
	fd, err := syscall.Open("/proc", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	for {
		n, err := syscall.ReadDirent(fd, r.names[:])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return err
		}
		for rest := r.names[:n]; len(rest) > 0; {
			inode := binary.NativeEndian.Uint64(rest)
			size := binary.NativeEndian.Uint16(rest[16:])
			name, _, _ := bytes.Cut(rest[19:size], []byte{0})
			if pid, err := strconv.Atoi(string(name)); err == nil {
				f(pid, inode)
			}
			rest = rest[size:]
		}
	}
}

// meet finds out whose process pid is; it is not ok while that cannot be said.
func (r *register) meet(pid int, inode uint64) (e entry, ok bool) {
	e.inode = inode
	env, err := environment(pid, r.env)
	r.env = env
	switch err {
	case nil:
	case syscall.EACCES, syscall.EPERM, syscall.ENOENT, syscall.ESRCH:
		return e, true // of another user, so none of ours; or gone, and then it is not listed again
	default:
		return e, false
	}
	if len(env) <= 1 {
		return e, !executing(pid)
	}
	if _, after, found := bytes.Cut(env, []byte("\x00"+Mark+"=")); found {
		folder, _, _ := bytes.Cut(after, []byte{0})
		e.folder = string(folder)
	}
	return e, true
}

// executing reports whether a process without an environment is in an exec. Those
// of the kernel have none, either, nor have the dead.
func executing(pid int) bool {
	const kernelThread = 0x00200000 // PF_KTHREAD in the kernel's sched.h
	stat := statLine(pid)
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // from the third field on; see proc_pid_stat(5)
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return false
	}
	flags, _ := strconv.ParseUint(f[6], 10, 64)
	return flags&kernelThread == 0
}

// environment reads what pid was started with into buf: a NUL, and then each
// variable with a NUL behind it. It asks the kernel directly, as it runs for
// every process there is.
func environment(pid int, buf []byte) ([]byte, error) {
	fd, err := syscall.Open("/proc/"+strconv.Itoa(pid)+"/environ", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return buf[:0], err
	}
	defer syscall.Close(fd)
	env := append(buf[:0], 0)
	for {
		if cap(env)-len(env) < 4<<10 {
			env = slices.Grow(env, max(8<<10, len(env)))
		}
		n, err := syscall.Read(fd, env[len(env):cap(env)])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return env, err
		}
		env = env[:len(env)+n]
	}
}
