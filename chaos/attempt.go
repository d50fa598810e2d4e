package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// place is one stage of a run, or one item of it, as status names it.
type place struct{ run, stage string }

func (p place) String() string { return "stage " + p.stage + " of run " + p.run }

// whole is the stage of an item, or the stage itself.
func (p place) whole() place {
	p.stage, _, _ = strings.Cut(p.stage, "[")
	return p
}

// attempt is one job: what it says about itself, in the order of the history.
type attempt struct {
	job      string
	at       place
	number   int
	started  []Fact
	finished []Fact
	made     []Fact
}

// exit is the code that the job itself announced, if it came that far.
func (a attempt) exit() (int, bool) {
	if len(a.finished) == 0 || a.finished[0].Exit == nil {
		return 0, false
	}
	return *a.finished[0].Exit, true
}

// attempts gathers what the jobs say, by the place and number of each.
func (h History) attempts() []attempt {
	found := map[string]*attempt{}
	for _, f := range h {
		if f.Job == "" || f.Is != Started && f.Is != Finished && f.Is != Made {
			continue
		}
		a := found[f.Job]
		if a == nil {
			at, number := parseJob(f.Job)
			a = &attempt{job: f.Job, at: at, number: number}
			found[f.Job] = a
		}
		switch f.Is {
		case Started:
			a.started = append(a.started, f)
		case Finished:
			a.finished = append(a.finished, f)
		case Made:
			a.made = append(a.made, f)
		}
	}
	var all []attempt
	for _, a := range found {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b attempt) int { return cmp.Compare(a.job, b.job) })
	return all
}

// parseJob takes the id of a job apart.
func parseJob(id string) (place, int) {
	run, rest, _ := strings.Cut(id, ".")
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return place{run, rest}, 0
	}
	stage, last := rest[:dot], rest[dot+1:]
	if item, number, ok := strings.Cut(last, "-"); ok {
		i, _ := strconv.Atoi(item)
		n, _ := strconv.Atoi(number)
		return place{run, fmt.Sprintf("%s[%d]", stage, i-1)}, n
	}
	n, _ := strconv.Atoi(last)
	return place{run, stage}, n
}

// last returns the newest attempt of each place.
func last(all []attempt) map[place]attempt {
	newest := map[place]attempt{}
	for _, a := range all {
		if old, ok := newest[a.at]; !ok || a.number > old.number {
			newest[a.at] = a
		}
	}
	return newest
}

// stages returns how each stage, and each item that status shows, ended.
func (h History) stages() map[place]Fact {
	return h.by(Stage)
}

// declared returns what the runs that were accepted have to do.
func (h History) declared() map[place]Fact {
	return h.by(Declared)
}

// by returns the last fact of a kind for each place.
func (h History) by(is Kind) map[place]Fact {
	found := map[place]Fact{}
	for _, f := range h {
		if f.Is == is {
			found[place{f.Run, f.Stage}] = f
		}
	}
	return found
}
