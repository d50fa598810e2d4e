package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
)

// Difference is what turns one plan into another. Where things are written is no
// part of it, and neither are the digests of the plans.
type Difference struct {
	Pipeline string        `json:"pipeline"`
	Base     string        `json:"base"`           // what it was compared with; the caller says
	Note     string        `json:"note,omitempty"` // why there was nothing to compare with
	Changes  []Change      `json:"changes"`        // of what is said of the pipeline as a whole
	Added    []Brief       `json:"added"`          // in the order of the new plan
	Removed  []Brief       `json:"removed"`        // in the order of the old one
	Changed  []StageChange `json:"changed"`        // in the order of the new plan
	Moved    []string      `json:"moved"`          // stages that come earlier or later among those that stay
}

// Brief is a stage in a few words.
type Brief struct {
	Stage string `json:"stage"`
	Does  string `json:"does"`
	Where string `json:"where,omitempty"`
}

// StageChange is what changes of one stage.
type StageChange struct {
	Stage   string   `json:"stage"`
	Changes []Change `json:"changes"`
}

// Change is one value that changes, appears (Before is nil) or disappears (After is
// nil). A key is a path with dots, as in env.RATE.
type Change struct {
	Key    string `json:"key"`
	Before any    `json:"before"`
	After  any    `json:"after"`
	Diff   string `json:"diff,omitempty"` // the same of text over several lines, as a unified diff
}

// Empty reports whether nothing changes.
func (d Difference) Empty() bool {
	return len(d.Changes) == 0 && len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Changed) == 0 && len(d.Moved) == 0
}

// Diff compares two plans. Without the first, all of the second is new.
func Diff(before, after *Plan) Difference {
	d := Difference{Pipeline: after.Pipeline, Changes: []Change{}, Added: []Brief{}, Removed: []Brief{}, Changed: []StageChange{}, Moved: []string{}}
	if before == nil {
		before = &Plan{Version: after.Version, Pipeline: after.Pipeline, Workspace: after.Workspace, Profile: after.Profile}
	}
	d.Changes = append(d.Changes, changes("", tree(head(before)), tree(head(after)))...)
	old := numbers(before)
	var stayed []int // the places in the old plan of stages that both have
	for i := range after.Stages {
		s := &after.Stages[i]
		j, ok := old[s.Name]
		if !ok {
			d.Added = append(d.Added, inBrief(s))
			continue
		}
		stayed = append(stayed, j)
		if cs := changes("", tree(said(&before.Stages[j])), tree(said(s))); len(cs) > 0 {
			d.Changed = append(d.Changed, StageChange{s.Name, cs})
		}
	}
	is := numbers(after)
	for i := range before.Stages {
		if _, ok := is[before.Stages[i].Name]; !ok {
			d.Removed = append(d.Removed, inBrief(&before.Stages[i]))
		}
	}
	for _, j := range outOfOrder(stayed) {
		d.Moved = append(d.Moved, before.Stages[j].Name)
	}
	return d
}

func inBrief(s *Stage) Brief { return Brief{s.Name, does(s), where(s)} }

// head is a plan without its stages and digest.
func head(p *Plan) *Plan {
	h := *p
	h.Digest, h.Stages = "", nil
	return &h
}

// said is a stage without the places where it is written.
func said(s *Stage) *Stage {
	c := *s
	c.At.File, c.At.Line, c.At.Col, c.Places = "", 0, 0, nil
	if s.Nested != nil && s.Nested.Plan != nil {
		n := *s.Nested
		inner := *n.Plan
		inner.Digest, inner.Stages = "", make([]Stage, len(n.Plan.Stages))
		for i := range inner.Stages {
			inner.Stages[i] = *said(&n.Plan.Stages[i])
		}
		n.Plan, c.Nested = &inner, &n
	}
	return &c
}

// tree is a part of a plan as plain maps, lists, text and numbers: what its JSON says.
// So no field can be forgotten here.
func tree(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a plan is not plain data: %v", err)) // a mistake of ours
	}
	var out any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(fmt.Sprintf("a plan is not JSON: %v", err))
	}
	return out
}

// outOfOrder gives what must be moved so that the rest is in rising order, and as
// little as can be.
func outOfOrder(places []int) []int {
	var piles []int // for each length, where the rising row with the smallest end ends
	before := make([]int, len(places))
	for i, p := range places {
		k := sort.Search(len(piles), func(k int) bool { return places[piles[k]] >= p })
		if before[i] = -1; k > 0 {
			before[i] = piles[k-1]
		}
		if k == len(piles) {
			piles = append(piles, 0)
		}
		piles[k] = i
	}
	stay := make([]bool, len(places))
	if n := len(piles); n > 0 {
		for i := piles[n-1]; i >= 0; i = before[i] {
			stay[i] = true
		}
	}
	var out []int
	for i, p := range places {
		if !stay[i] {
			out = append(out, p)
		}
	}
	return out
}
