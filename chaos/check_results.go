package chaos

// tornLogs holds the numbers of a log's lines against 1, 2, 3 … up to what its job
// announced. The log of a job that was killed may end early, and nowhere else.
func tornLogs(h History) (found []Broken) {
	newest := last(h.attempts())
	for at, f := range h.by(Logged) {
		a, ran := newest[at]
		if !ran || len(a.started) == 0 {
			continue
		}
		facts := []Fact{a.started[0]}
		if wrong := firstWrong(f.Numbers); wrong >= 0 {
			found = append(found, broken(facts, "line %d of the log of %v is number %d", wrong+1, at, f.Numbers[wrong]))
			continue
		}
		if _, ended := a.exit(); ended && len(f.Numbers) != a.started[0].Lines {
			found = append(found, broken(append(facts, a.finished...), "the log of %v has %d of %d lines", at, len(f.Numbers), a.started[0].Lines))
		}
	}
	return found
}

// firstWrong is the place of the first number that is not one more than the one
// before it, or -1.
func firstWrong(numbers []int) int {
	for i, n := range numbers {
		if n != i+1 {
			return i
		}
	}
	return -1
}

func wrongDigests(h History) (found []Broken) {
	type output struct {
		place
		name string
	}
	published := map[output]Fact{}
	for _, f := range h {
		if f.Is == Published {
			published[output{place{f.Run, f.Stage}, f.Name}] = f
		}
	}
	stages := h.stages()
	for at, a := range last(h.attempts()) {
		if stages[at].Status != "succeeded" {
			continue
		}
		for _, m := range a.made {
			p, ok := published[output{at, m.Name}]
			switch {
			case !ok:
				found = append(found, broken([]Fact{m, stages[at]}, "the artifact %q that job %s left is nowhere", m.Name, a.job))
			case p.Digest != m.Digest:
				found = append(found, broken([]Fact{m, p}, "the artifact %q of %v is %s, and its job left %s", m.Name, at, p.Digest, m.Digest))
			}
		}
	}
	return found
}
