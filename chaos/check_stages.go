package chaos

import "slices"

func tooEarly(h History) (found []Broken) {
	declared := h.declared()
	first := map[place]Fact{} // the first start, by stage
	for _, f := range h {
		if f.Is != Started && f.Is != Finished {
			continue
		}
		at, _ := parseJob(f.Job)
		for other, start := range first {
			if d := declared[other]; other.run == at.run && slices.Contains(d.Needs, at.whole().stage) {
				found = append(found, broken([]Fact{start, f}, "%v started while stage %s, which it needs, was not over", other, at.stage))
			}
		}
		if _, known := first[at.whole()]; f.Is == Started && !known {
			first[at.whole()] = f
		}
	}
	stages := h.stages()
	for at, start := range first {
		for _, need := range declared[at].Needs {
			if s, ok := stages[place{at.run, need}]; ok && s.Status != "succeeded" {
				found = append(found, broken([]Fact{start, s}, "%v started, and stage %s, which it needs, is %s", at, need, s.Status))
			}
		}
	}
	return found
}

func leftOut(h History) (found []Broken) {
	stages, runs := h.stages(), map[string]Fact{}
	for _, f := range h {
		if f.Is == Ended {
			runs[f.Run] = f
		}
	}
	for at, d := range h.declared() {
		run, ended := runs[at.run]
		s, known := stages[at]
		switch {
		case !ended:
		case !known:
			found = append(found, broken([]Fact{d, run}, "%v is not in its run's record", at))
		case run.Status == "succeeded" && s.Status != "succeeded":
			found = append(found, broken([]Fact{s, run}, "%v is %s, and the run succeeded", at, s.Status))
		case s.Status == "skipped" && allSucceeded(stages, at.run, d.Needs):
			found = append(found, broken([]Fact{d, s}, "%v was skipped, and all that it needs succeeded", at))
		}
	}
	return found
}

func allSucceeded(stages map[place]Fact, run string, names []string) bool {
	for _, name := range names {
		if stages[place{run, name}].Status != "succeeded" {
			return false
		}
	}
	return true
}

// miscounted compares the counts of a stage with items with what its jobs say.
func miscounted(h History) (found []Broken) {
	declared := h.declared()
	good, bad, all := map[place]int{}, map[place]int{}, map[place]int{}
	for at, a := range last(h.attempts()) {
		all[at.whole()]++
		if code, ended := a.exit(); ended && code == 0 {
			good[at.whole()]++
		} else if ended {
			bad[at.whole()]++
		}
	}
	for at, s := range h.stages() {
		if s.Count == nil {
			continue
		}
		c, facts := *s.Count, []Fact{s}
		over := c.Succeeded + c.Failed + c.Skipped + c.Cancelled
		switch {
		case c.Total != declared[at].Items:
			found = append(found, broken(facts, "%v counts %d items, and has %d", at, c.Total, declared[at].Items))
		case over != c.Total:
			found = append(found, broken(facts, "%v counts %d items, of which %d ended", at, c.Total, over))
		case c.Succeeded != good[at]:
			found = append(found, broken(facts, "%v counts %d items that succeeded, and %d jobs ended with 0", at, c.Succeeded, good[at]))
		case c.Failed < bad[at]:
			found = append(found, broken(facts, "%v counts %d items that failed, and %d jobs ended with another code than 0", at, c.Failed, bad[at]))
		case c.Succeeded+c.Failed+c.Cancelled < all[at]:
			found = append(found, broken(facts, "%v counts fewer items than the %d that started", at, all[at]))
		}
	}
	return found
}
