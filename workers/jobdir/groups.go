package jobdir

import "crypto/rand"

// Groups says what version of control groups, 1 or 2, would hold a process here to its memory,
// and to its processors; 0: none. It tries.
func Groups() (memory, cpus int) {
	return groupsFor(Process{Memory: 1 << 40}), groupsFor(Process{CPUs: 1})
}

func groupsFor(p Process) (version int) {
	l := limit("groups."+rand.Text(), p)
	defer l.remove()
	switch {
	case len(l.Groups) == 0 || len(l.Notes) > 0:
		return 0
	case exists(l.Groups[0], "cgroup.events"): // none of version 1 has it
		return 2
	}
	return 1
}
