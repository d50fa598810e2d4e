package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// The bounds of stages that run over several items.
const (
	inline   = 100     // up to so many are done by this workflow itself; more in workflows of their own
	chunk    = 250     // items in one of those, so that no history grows too long
	narrow   = 64      // items at once in one workflow: the time that each step takes grows with them
	widest   = 256     // items at once when the stage names no number: what one worker follows
	shownBad = 20      // of many items, so many of those that failed are in the record
	maxLists = 512_000 // bytes of results that are in the record
)

// fan runs a stage over its items, and gathers their results into lists.
func (r *run) fan(w World, s *plan.Stage, p *StageProgress) {
	items, ok := r.items(w, s, p)
	if !ok {
		return
	}
	all, resumed := r.done[s.Name]
	if p.Status = target.Running; p.Started.IsZero() {
		p.Started = w.Now()
	}
	if !resumed {
		p.Count = &Count{Total: len(items)}
		all = make([]StageProgress, len(items))
		r.done[s.Name] = all
		for i := range items {
			all[i] = r.blank(s, i, items[i])
		}
	}
	if len(items) <= w.Wide() {
		if len(items) <= inline {
			p.Items = all
		}
		r.each(w, len(items), s.Fan.Parallel, func(w World, i int) {
			if all[i].Status.Ended() {
				return
			}
			r.unit(w, r.itemUnit(s, &all[i], i, items[i]))
			p.Count.add(all[i].Status)
			if bad(all[i].Status) && len(items) > inline && len(p.Items) < shownBad {
				p.Items = append(p.Items, all[i])
			}
			w.Touch(&all[i])
			w.Touch(p)
		})
	} else {
		r.chunks(w, s, p, items, all)
	}
	r.gathered(w, s, p, items, all)
}

// items decides whether the stage runs at all, and what it runs over.
func (r *run) items(w World, s *plan.Stage, p *StageProgress) ([]plan.Item, bool) {
	if p.Count != nil { // it goes on
		return r.itemsOf(s), true
	}
	e := Evaluation{Values: r.values(needNames(s.Needs)), Failed: r.upstreamFailed(s), Frames: s.Frames}
	if s.If != nil && !s.If.Item {
		if e.If, e.IfDepth = s.If.Expr, s.If.Depth; e.If == "" && !s.If.Known {
			p.Status, p.Why = Skipped, "its condition `if` is false"
			return nil, false
		}
	}
	if s.Fan.List != nil {
		e.List = s.Fan.List.Expr
	}
	if e.If == "" && e.List == "" {
		return s.Fan.Items, true
	}
	got, err := w.Evaluate(e)
	p.Because = got.Because
	switch {
	case w.Err() != nil && !r.mayRun(w, s, p):
		p.Status, p.Why = target.Cancelled, "the run was cancelled before it began"
	case err != nil:
		r.fail(w, p, "expression", "its expressions could not be evaluated: "+err.Error())
	case got.Error != "":
		r.fail(w, p, "expression", got.Error)
		r.pointTo(s, p, got.At)
	case !got.If:
		p.Status, p.Why = Skipped, "its condition `if` is false"
	case e.List == "":
		return s.Fan.Items, true
	default:
		r.ranOver[s.Name] = got.List
		return r.itemsOf(s), true
	}
	return nil, false
}

// blank is the progress of an item before it begins.
func (r *run) blank(s *plan.Stage, i int, item plan.Item) StageProgress {
	return StageProgress{Name: fmt.Sprintf("%s[%d]", s.Name, i), Label: label(item.Value), Status: target.Waiting, At: s.At}
}

// label shows an item in a few characters: "model=tree, seed=2" or the value itself.
func label(v any) string {
	switch v := v.(type) {
	case string:
		return short(v)
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		for i, name := range names {
			names[i] = name + "=" + label(v[name])
		}
		return short(strings.Join(names, ", "))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return short(string(b))
}

func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func (r *run) itemUnit(s *plan.Stage, p *StageProgress, i int, item plan.Item) *unit {
	u := &unit{s: s, p: p, place: placeOf(s, &item), number: i + 1, item: map[string]any{"matrix": item.Value}}
	if s.Fan.Name == "each" {
		u.item = map[string]any{"each": map[string]any{"item": item.Value, "index": i}}
	}
	return u
}

// each calls do for the numbers below n, a few at a time, and returns when all are done.
func (r *run) each(w World, n, parallel int, do func(World, int)) {
	if parallel <= 0 || parallel > widest {
		parallel = widest
	}
	next, left := 0, min(parallel, n)
	for range left {
		w.Go(func(w World) {
			defer func() { left-- }()
			for next < n {
				i := next
				next++
				do(w, i)
			}
		})
	}
	away, release := w.Apart() // a cancelled run still waits for its items to end
	defer release()
	_ = away.Await(func() bool { return left == 0 })
}

// ItemsInput is a part of a stage that runs over many items.
type ItemsInput struct {
	Input  Input          `json:"input"` // with a plan of this one stage, without its needs
	Items  []plan.Item    `json:"items"`
	From   int            `json:"from"` // number of the first one, from 0
	Values map[string]any `json:"values"`
	Failed bool           `json:"failed,omitempty"`
}

// ItemResult is what became of one item, without what nobody reads of many.
type ItemResult struct {
	Status  target.State       `json:"status"`
	Outputs map[string]any     `json:"outputs,omitempty"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Bad     *StageProgress     `json:"bad,omitempty"` // all of it, for the first few that failed
}

// chunks has other workflows do the items, several at a time.
func (r *run) chunks(w World, s *plan.Stage, p *StageProgress, items []plan.Item, all []StageProgress) {
	parallel := s.Fan.Parallel
	if parallel <= 0 || parallel > widest {
		parallel = widest
	}
	lanes := (parallel + narrow - 1) / narrow
	one := *s
	one.Needs, one.If = nil, nil
	if s.If != nil && s.If.Item {
		one.If = s.If
	}
	fan := *s.Fan
	fan.Items, fan.List, fan.Parallel = nil, nil, parallel/lanes
	one.Fan = &fan
	in := ItemsInput{Input: r.in, Values: r.values(needNames(s.Needs)), Failed: r.upstreamFailed(s)}
	in.Input.Plan = plan.Plan{Version: r.plan.Version, Digest: r.plan.Digest, Pipeline: r.plan.Pipeline, Params: r.plan.Params, Stages: []plan.Stage{one}}
	count := (len(items) + chunk - 1) / chunk
	r.each(w, count, lanes, func(w World, c int) {
		part := in
		part.From = c * chunk
		part.Items = items[part.From:min(part.From+chunk, len(items))]
		r.chunk(w, s, p, part, all[part.From:part.From+len(part.Items)])
	})
}

func (r *run) chunk(w World, s *plan.Stage, p *StageProgress, in ItemsInput, all []StageProgress) {
	var got []ItemResult
	err := w.Err()
	if err == nil {
		got, err = w.Items(fmt.Sprintf("%s.items-%d", s.Name, in.From), in)
	}
	for i := range all {
		if i >= len(got) {
			all[i] = r.blank(s, in.From+i, in.Items[i])
			all[i].Status = target.Cancelled
			if w.Err() == nil {
				r.fail(w, &all[i], target.CauseStart, "its items could not be run: "+message(err))
			}
			p.Count.add(all[i].Status)
			continue
		}
		if got[i].Bad != nil {
			all[i] = *got[i].Bad
			if len(p.Items) < shownBad {
				p.Items = append(p.Items, all[i])
			}
		}
		all[i].Status, all[i].Outputs, all[i].Metrics = got[i].Status, got[i].Outputs, got[i].Metrics
		p.Count.add(all[i].Status)
	}
}

// gathered makes the end of a stage out of the ends of its items.
func (r *run) gathered(w World, s *plan.Stage, p *StageProgress, items []plan.Item, all []StageProgress) {
	p.Ended = w.Now()
	var first *StageProgress
	for i := range all {
		if st := all[i].Status; (st == target.Failed || st == target.Lost) && first == nil {
			first = &all[i]
		}
	}
	c := *p.Count
	switch {
	case w.Err() != nil:
		p.Status, p.Cause = target.Cancelled, target.CauseCancel
	case first != nil:
		p.Status, p.Cause, p.Exit, p.Signal, p.Tail, p.At = target.Failed, first.Cause, first.Exit, first.Signal, first.Tail, first.At
		p.Job, p.Place, p.Target, p.Log, p.Logs, p.Rank, p.Secrets = first.Job, first.Place, first.Target, first.Log, first.Logs, first.Rank, first.Secrets
		p.Error = fmt.Sprintf("%d of %d items failed; the first, %s (%s): %s", c.Failed, c.Total, first.Name, first.Label, first.Error)
	case c.Total > 0 && c.Skipped == c.Total:
		p.Status, p.Why = Skipped, "its condition `if` is false for every item"
	default:
		p.Status = target.Succeeded
		r.lists(s, p, items, all)
	}
}

// lists turns results of items into results of the stage.
func (r *run) lists(s *plan.Stage, p *StageProgress, items []plan.Item, all []StageProgress) {
	v := r.listsOf(s, items, all)
	r.fans[s.Name] = v
	if b, err := json.Marshal(v.outputs); err == nil && len(b) > maxLists {
		p.Notes = append(p.Notes, fmt.Sprintf("its outputs take %d bytes, too many for the record: stages that use them have them", len(b)))
		return
	}
	p.Outputs, p.Lists = v.outputs, v.metrics
}

// listsOf are the results of a stage as lists in the order of its items.
func (r *run) listsOf(s *plan.Stage, items []plan.Item, all []StageProgress) fanValues {
	v := fanValues{outputs: map[string]any{}, metrics: map[string]any{}, items: make([]any, len(items))}
	for i := range items {
		v.items[i] = items[i].Value
	}
	for _, o := range outputNames(s) {
		list := make([]any, len(all))
		for i := range all {
			list[i] = all[i].Outputs[o]
		}
		v.outputs[o] = list
	}
	for _, m := range s.Metrics {
		list := make([]any, len(all))
		for i := range all {
			if x, ok := all[i].Metrics[m.Name]; ok {
				list[i] = x
			}
		}
		v.metrics[m.Name] = list
	}
	return v
}

// outputNames are what a stage has outputs of. Those of a pipeline are its own affair.
func outputNames(s *plan.Stage) []string {
	var names []string
	for _, o := range s.Outputs {
		names = append(names, o.Name)
	}
	if s.Nested != nil {
		for _, o := range s.Nested.Plan.Outputs {
			names = append(names, o.Name)
		}
	}
	return names
}

// fanValues are the results of a stage that ran over several items, as expressions
// see them.
type fanValues struct {
	outputs, metrics map[string]any
	items            []any
}

// Count says how far a stage with many items has come.
type Count struct {
	Total     int `json:"total"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"` // or lost
	Skipped   int `json:"skipped"`
	Cancelled int `json:"cancelled"`
	Stopped   int `json:"stopped,omitempty"` // trials, before their end
}

func (c *Count) add(s target.State) {
	switch s {
	case target.Succeeded:
		c.Succeeded++
	case Skipped:
		c.Skipped++
	case target.Cancelled:
		c.Cancelled++
	case Halted:
		c.Stopped++
	default:
		c.Failed++
	}
}

// gather makes one folder of each input that is a list of artifacts.
func (r *run) gather(w World, u *unit, got *Evaluated) error {
	for _, in := range u.s.Inputs {
		if !in.List {
			continue
		}
		list, err := text(r.known(in.Value, "inputs/"+in.Name, *got))
		if err != nil {
			return err
		}
		ref, err := w.Gather(workers.Gathering{Store: r.in.Store, List: list})
		if err != nil {
			return fmt.Errorf("the input %q: %w", in.Name, err)
		}
		got.Results = with(got.Results, map[string]any{"inputs/" + in.Name: string(ref)})
	}
	return nil
}

func (r *run) known(v plan.Value, key string, got Evaluated) any {
	if v.Expr != "" {
		return got.Results[key]
	}
	return v.Known
}
