package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"

	"go.temporal.io/sdk/client"
)

// askGroupWithin is how long a group may take to say who has its turns: people have the
// rest of what is known of a run meanwhile.
const askGroupWithin = time.Second

// turns says of what waits for its turn in a group who has it. Who only asks for one that
// nobody has does not wait. What it is given may be remembered, and stays as it is.
func (e *Engine) turns(ctx context.Context, c client.Client, p *flow.Progress) *flow.Progress {
	waits := func(s flow.StageProgress) bool { return s.Turn != "" }
	if p == nil || p.Turn == "" && !slices.ContainsFunc(p.Stages, func(s flow.StageProgress) bool { return waits(s) || slices.ContainsFunc(s.Items, waits) }) {
		return p
	}
	copied := *p
	p = &copied
	p.Stages = slices.Clone(p.Stages)
	known := map[string]*flow.GroupState{}
	say := func(why, group string) string {
		if group == "" || !strings.HasPrefix(why, flow.Turn) {
			return why
		}
		g, asked := known[group]
		if !asked {
			g = e.group(ctx, c, group)
			known[group] = g
		}
		if g == nil {
			return why
		}
		return whose(why, *g, p.Run)
	}
	p.Why = say(p.Why, p.Turn)
	for i := range p.Stages {
		s := &p.Stages[i]
		s.Why = say(s.Why, s.Turn)
		s.Items = slices.Clone(s.Items)
		for j := range s.Items {
			s.Items[j].Why = say(s.Items[j].Why, s.Items[j].Turn)
		}
	}
	return p
}

// group is what a group remembers; nil when it does not say.
func (e *Engine) group(ctx context.Context, c client.Client, name string) *flow.GroupState {
	limit, cancel := context.WithTimeout(ctx, askGroupWithin)
	defer cancel()
	v, err := ask(limit, c, flow.GroupID(e.Info().Queue, name), flow.QueryGroup)
	if err != nil {
		return nil
	}
	var g flow.GroupState
	if v.Get(&g) != nil {
		return nil
	}
	return &g
}

// whose adds to why something waits in a group who has the turn, and how many come before.
func whose(why string, g flow.GroupState, run string) string {
	own := func(c flow.Claim) bool { return c.Workflow == idPrefix+run }
	if len(g.Turns) == 0 || len(g.Turns) == 1 && own(g.Turns[0]) && !slices.ContainsFunc(g.Waiting, own) {
		return ""
	}
	var holders []string
	for _, c := range g.Turns {
		who := "run " + strings.TrimPrefix(c.Workflow, idPrefix)
		if own(c) {
			who = "another stage of this run"
		}
		if !slices.Contains(holders, who) {
			holders = append(holders, who)
		}
	}
	why += "; now it is that of " + strings.Join(holders, " and ")
	if before := slices.IndexFunc(g.Waiting, own); before > 0 {
		why += fmt.Sprintf(", and %d more come first", before)
	}
	return why
}
