//go:build !linux

package jobdir

func limit(dir string, p Process) (l limits) {
	if p.Memory > 0 {
		l.Notes = append(l.Notes, memoryNote(p.Memory))
	}
	if p.CPUs > 0 {
		l.Notes = append(l.Notes, cpuNote(p.CPUs))
	}
	return l
}

func (limits) oomKills() int { return 0 }

func (limits) remove() {}
