package chaos

import "slices"

// codes are the exit codes of commands that wait for a run, by how the run ended.
var codes = map[string][]int{
	"succeeded": {0},
	"failed":    {10, 12}, // 12: by a timeout
	"cancelled": {11},
}

func unended(h History) (found []Broken) {
	ends := map[string]Fact{}
	for _, f := range h {
		if f.Is == Ended {
			ends[f.Run] = f
		}
	}
	for _, f := range h {
		if f.Is != Accepted {
			continue
		}
		end, known := ends[f.Run]
		switch {
		case !known:
			found = append(found, broken([]Fact{f}, "run %s was accepted, and nothing is known of it", f.Run))
		case codes[end.Status] == nil:
			found = append(found, broken([]Fact{f, end}, "run %s never ended: it is %s", f.Run, end.Status))
		}
	}
	return found
}

func startedTwice(h History) (found []Broken) {
	for _, a := range h.attempts() {
		if len(a.started) > 1 {
			found = append(found, broken(a.started, "job %s started %d times", a.job, len(a.started)))
		}
		if len(a.finished) > 1 {
			found = append(found, broken(a.finished, "job %s came to its end %d times", a.job, len(a.finished)))
		}
		if len(a.started) == 0 {
			found = append(found, broken(append(a.finished, a.made...), "job %s did something before it started", a.job))
		}
	}
	return found
}

func wrongCodes(h History) (found []Broken) {
	for _, f := range h {
		if f.Is == Ended && f.Exit != nil && codes[f.Status] != nil && !slices.Contains(codes[f.Status], *f.Exit) {
			found = append(found, broken([]Fact{f}, "run %s is %s, and the command that waited for it ended with %d", f.Run, f.Status, *f.Exit))
		}
	}
	newest := last(h.attempts())
	for at, s := range h.stages() {
		a, ran := newest[at]
		if !ran {
			continue
		}
		facts := append(slices.Clone(a.finished), s)
		code, ended := a.exit()
		switch {
		case s.Status == "succeeded" && !ended:
			found = append(found, broken(append(a.started, s), "%v succeeded, and its job %s never came to its end", at, a.job))
		case s.Status == "succeeded" && code != 0, s.Status == "failed" && ended && code == 0:
			found = append(found, broken(facts, "%v %s, and its job %s ended with %d", at, s.Status, a.job, code))
		case ended && s.Exit != nil && *s.Exit != code && (s.Status == "succeeded" || s.Status == "failed"):
			found = append(found, broken(facts, "%v has exit code %d, and its job %s ended with %d", at, *s.Exit, a.job, code))
		}
	}
	return found
}

func survivors(h History) (found []Broken) {
	for _, f := range h {
		if f.Is == Alive {
			found = append(found, broken([]Fact{f}, "process %d of job %s is alive after run %s has ended", f.PID, f.Job, f.Run))
		}
	}
	return found
}
