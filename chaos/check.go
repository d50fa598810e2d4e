package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Broken is a promise that a history breaks: which one, in what way, and the facts
// that show it.
type Broken struct {
	Promise string
	Why     string
	Facts   []Fact
}

func (b Broken) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "the promise %q is broken: %s", b.Promise, b.Why)
	for _, f := range b.Facts {
		fmt.Fprintf(&s, "\n    %s", f)
	}
	return s.String()
}

// The promises, as they are named in reports.
const (
	KnownAndEnds = "every run that was accepted is known, and ends"
	StartsOnce   = "an attempt starts at most once"
	RightCodes   = "exit codes are those of the jobs"
	InOrder      = "a stage starts after what it needs has ended"
	NoneSkipped  = "no stage is left out whose needs succeeded"
	WholeLogs    = "each line of a log is there once, and in order"
	RightDigests = "an artifact has the digest of what its job left"
	NothingLeft  = "nothing of a run is alive after its end"
	CountedOnce  = "each item is counted once"
)

// promises is what amlflow must keep, whatever is done to it.
var promises = []struct {
	name   string
	broken func(History) []Broken
}{
	{KnownAndEnds, unended},
	{StartsOnce, startedTwice},
	{RightCodes, wrongCodes},
	{InOrder, tooEarly},
	{NoneSkipped, leftOut},
	{WholeLogs, tornLogs},
	{RightDigests, wrongDigests},
	{NothingLeft, survivors},
	{CountedOnce, miscounted},
}

// Check returns every promise that the history breaks, sorted. It judges runs that
// were observed to their end: facts about how a run ended belong to it.
func Check(h History) []Broken {
	var all []Broken
	for _, p := range promises {
		found := p.broken(h)
		slices.SortFunc(found, func(a, b Broken) int { return cmp.Compare(a.Why, b.Why) })
		for _, b := range found {
			b.Promise = p.name
			all = append(all, b)
		}
	}
	return all
}

func broken(facts []Fact, why string, args ...any) Broken {
	return Broken{Why: fmt.Sprintf(why, args...), Facts: facts}
}
