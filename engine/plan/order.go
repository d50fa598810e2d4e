package plan

// inOrder sorts stages so that each comes after what it needs, and otherwise as
// they are written. Cycles have been refused before.
func inOrder(ss []*Stage) []*Stage {
	index := map[string]int{}
	for i, s := range ss {
		index[s.Name] = i
	}
	waits, users := make([]int, len(ss)), make([][]int, len(ss))
	for i, s := range ss {
		for _, n := range s.Needs {
			if j, ok := index[n.Stage]; ok {
				waits[i]++
				users[j] = append(users[j], i)
			}
		}
	}
	var ready intHeap
	for i := range ss {
		if waits[i] == 0 {
			ready.push(i)
		}
	}
	out := make([]*Stage, 0, len(ss))
	for len(ready) > 0 {
		i := ready.pop()
		out = append(out, ss[i])
		for _, u := range users[i] {
			if waits[u]--; waits[u] == 0 {
				ready.push(u)
			}
		}
	}
	return out
}
