package flow

import (
	"fmt"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/tune"
	"github.com/amlflow/amlflow/workers/target"
)

// decide settles what is done next: what is stopped, what goes on, and with which settings
// new trials begin. It does nothing of it.
func (t *tuning) decide(w World) {
	if why, failed := t.over(w); why != "" && t.p.Sweep.Over == "" {
		t.p.Sweep.Over, t.p.Sweep.Failed, t.decided = why, failed, true
	}
	if t.p.Sweep.Over != "" {
		for i := range t.p.Items {
			if q := &t.p.Items[i]; !q.Status.Ended() && q.Trial.Stop == "" {
				q.Trial.Stop, q.Trial.Cut, t.decided = t.p.Sweep.Over, true, true
			}
		}
		return
	}
	for t.lanes() < t.sw.Parallel && t.another() {
		t.decided = true
	}
}

// over says which limit was reached.
func (t *tuning) over(w World) (why string, failed bool) {
	n, good, diverged := 0, 0, 0
	for i := range t.p.Items {
		switch st := t.p.Items[i].Status; {
		case st == target.Failed, st == target.Lost:
			if n++; t.p.Items[i].Cause == CauseDiverged {
				diverged++
			}
		case st.Ended() && st != target.Cancelled:
			good++
		}
	}
	switch most := t.sw.Failures; {
	case most != nil && n > *most:
		return fmt.Sprintf("more than %d of its trials failed", *most), true
	case most == nil && good == 0 && n-diverged >= hopeless:
		return fmt.Sprintf("its first %d trials failed", n), true
	case t.left(w) == 0:
		return fmt.Sprintf("its time, %s, was over", time.Duration(t.sw.Time)), false
	}
	return "", false
}

// hopeless is how many trials fail, and none succeeds, before a sweep is given up that
// says nothing of failures: it is the script, and not the settings. What diverged counts
// as neither.
const hopeless = 5

// lanes are the trials that are under way, or will be at once.
func (t *tuning) lanes() int {
	n := 0
	for i := range t.p.Items {
		if !t.p.Items[i].Status.Ended() {
			n++
		}
	}
	return n
}

// another has one more trial go on, or begin; false: there is none now.
func (t *tuning) another() bool {
	if t.sw.Rests {
		if i, ok := t.sw.Stop.Promote(t.sw.Objective, t.curves(), t.resting()); ok {
			t.promote(&t.p.Items[i])
			return true
		}
	}
	if len(t.p.Items) < cap(t.p.Items) && !t.none {
		settings, ok := t.sw.Algorithm.Next(t.sw.Space, t.sw.Objective, t.told())
		if ok {
			t.add(settings)
			return true
		}
		t.none = true
	}
	return t.sw.Rests && t.lanes() == 0 && t.lastWay()
}

func (t *tuning) add(settings tune.Settings) {
	i := len(t.p.Items)
	q := t.blank(t.s, i, plan.Item{})
	q.Trial = &Trial{Number: i, Settings: settings}
	if t.sw.Rests {
		q.Trial.Budget = t.sw.Stop.Rung(0)
	}
	q.Label = t.label(settings)
	t.p.Items = append(t.p.Items, q)
}

// label shows settings in the order of the space.
func (t *tuning) label(settings tune.Settings) string {
	text := ""
	for i, p := range t.sw.Space {
		if i > 0 {
			text += ", "
		}
		v := settings[p.Name]
		if x, ok := v.(float64); ok {
			text += p.Name + "=" + number(x)
			continue
		}
		text += p.Name + "=" + label(v)
	}
	return text
}

// number is one as people read it.
func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

func (t *tuning) promote(q *StageProgress) {
	q.Trial.Rung++
	q.Trial.Budget = t.sw.Stop.Rung(q.Trial.Rung)
	t.wake(q)
}

// wake has a trial go on that rests.
func (t *tuning) wake(q *StageProgress) {
	q.Status, q.Ended, q.Next, q.Why = target.Waiting, time.Time{}, time.Time{}, ""
	if q.Trial.Budget > 0 {
		q.Why = "goes on to " + number(q.Trial.Budget) + " steps"
	}
}

// lastWay has the best of the trials that rest go to its end, if none has: nobody wants a
// model that was trained a little.
func (t *tuning) lastWay() bool {
	for i := range t.p.Items {
		if t.p.Items[i].Status == target.Succeeded {
			return false
		}
	}
	i, ok := t.sw.Stop.Foremost(t.sw.Objective, t.curves(), t.resting())
	if !ok {
		return false
	}
	q := &t.p.Items[i]
	q.Trial.Final, q.Trial.Budget = true, t.sw.Stop.Max
	t.wake(q)
	return true
}

func (t *tuning) curves() []*tune.Curve {
	all := make([]*tune.Curve, len(t.p.Items))
	for i := range t.p.Items {
		all[i] = &t.p.Items[i].Trial.Curve
	}
	return all
}

func (t *tuning) resting() []bool {
	all := make([]bool, len(t.p.Items))
	for i := range t.p.Items {
		all[i] = t.p.Items[i].Status == Resting
	}
	return all
}

// told is what an algorithm is told of all trials.
func (t *tuning) told() []tune.Told {
	all := make([]tune.Told, len(t.p.Items))
	for i := range t.p.Items {
		q := &t.p.Items[i]
		one := tune.Told{Settings: q.Trial.Settings, Outcome: tune.Pending, Steps: q.Trial.Steps}
		switch {
		case !q.Status.Ended():
		case q.Trial.Value == nil || bad(q.Status):
			one.Outcome = tune.Failed
		case q.Status == target.Succeeded:
			one.Outcome, one.Value = tune.Complete, *q.Trial.Value
		default:
			one.Outcome, one.Value = tune.Stopped, *q.Trial.Value
		}
		all[i] = one
	}
	return all
}

// dismiss ends the trials that still rest when nothing goes on any more.
func (t *tuning) dismiss() {
	for i := range t.p.Items {
		if q := &t.p.Items[i]; q.Status == Resting {
			q.Status = Halted
			q.Why = fmt.Sprintf("with %s it was not among those that went on from %s steps", value(q), number(t.sw.Stop.Rung(q.Trial.Rung)))
		}
	}
}

func value(q *StageProgress) string {
	if q.Trial.Value == nil {
		return "no value"
	}
	return number(*q.Trial.Value)
}
