package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
)

// UpdateDecide is the update by which a person approves or rejects.
const UpdateDecide = "amlflow.decide"

// Decision is what a person says to a stage that waits for one.
type Decision struct {
	Stage   string `json:"stage"`
	Approve bool   `json:"approve"`
	By      string `json:"by"`
	Comment string `json:"comment,omitempty"`
	// Plan is the digest of the plan that the person has seen: another plan is not
	// what was approved.
	Plan string `json:"plan"`
}

func (d Decision) verb() string {
	if d.Approve {
		return "approved"
	}
	return "rejected"
}

// The types of the errors of UpdateDecide.
const (
	NotAllowed = "amlflow.not-allowed" // this person may not
	NotWaiting = "amlflow.not-waiting" // the stage does not wait for anyone, or is not there
	Conflict   = "amlflow.conflict"    // something else was decided, or the plan is another
)

func refuse(kind, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), kind, nil)
}

func (r *run) mayDecide(d Decision) error {
	i, ok := r.index[d.Stage]
	if !ok || r.plan.Stages[i].Approve == nil {
		return refuse(NotWaiting, "the run has no stage %q that waits for a person%s", d.Stage, r.whoWaits())
	}
	a := r.plan.Stages[i].Approve
	if d.Plan != r.plan.Digest {
		return refuse(Conflict, "the run's plan is %s, and what was %s is %s", r.plan.Digest, d.verb(), d.Plan)
	}
	if len(a.By) > 0 && !slices.Contains(a.By, d.By) {
		return refuse(NotAllowed, "%q may not decide about stage %q: %s may", d.By, d.Stage, strings.Join(a.By, ", "))
	}
	if before, ok := r.decided[d.Stage]; ok {
		if before.Approve != d.Approve {
			return refuse(Conflict, "stage %q was %s already, by %s", d.Stage, before.verb(), before.By)
		}
		return nil
	}
	if p := r.progress.Stages[i]; p.Status != target.Running {
		return refuse(NotWaiting, "stage %q does not wait for anyone: it is %s", d.Stage, p.Status)
	}
	return nil
}

func (r *run) whoWaits() string {
	var names []string
	for i, s := range r.plan.Stages {
		if s.Approve != nil && r.progress.Stages[i].Status == target.Running {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ") + " does"
}

// approve waits for a person.
func (r *run) approve(w World, u *unit, got Evaluated) {
	s, p := u.s, u.p
	if p.Started.IsZero() {
		p.Started = w.Now()
	}
	p.Status = target.Running
	p.Approval = &Approval{By: s.Approve.By, Message: r.asked(s.Approve, got)}
	p.Why = "waits for " + whom(s.Approve.By)
	answered := func() bool { _, ok := r.decided[r.prefix+s.Name]; return ok }
	w.Touch(p)
	var err error
	in := true
	if limit := time.Duration(s.Approve.Timeout); limit > 0 {
		p.Approval.Until = p.Started.Add(limit)
		in, err = w.AwaitFor(p.Approval.Until.Sub(w.Now()), answered)
	} else {
		err = w.Await(answered)
	}
	p.Why, p.Ended = "", w.Now()
	d := r.decided[r.prefix+s.Name]
	switch {
	case err != nil:
		p.Status, p.Cause = target.Cancelled, target.CauseCancel
	case !in:
		r.fail(w, p, target.CauseTimeout, "nobody decided in "+time.Duration(s.Approve.Timeout).String())
		r.pointTo(s, p, "approve")
	case !d.Approve:
		r.fail(w, p, CauseRejected, fmt.Sprintf("%s rejected it%s", d.By, said(d.Comment)))
		r.pointTo(s, p, "approve")
	default:
		p.Status = target.Succeeded
		p.Outputs = map[string]any{"by": d.By, "comment": d.Comment}
		p.Because = fmt.Sprintf("%s approved it%s", d.By, said(d.Comment))
	}
}

// CauseRejected is the cause of a stage that a person rejected.
const CauseRejected target.Cause = "rejected"

func said(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}

func whom(by []string) string {
	if len(by) == 0 {
		return "somebody to approve it"
	}
	return strings.Join(by, " or ") + " to approve it"
}

// asked is the question that is put to people.
func (r *run) asked(a *plan.Approve, got Evaluated) string {
	if a.Message == nil {
		return ""
	}
	v := a.Message.Known
	if a.Message.Expr != "" {
		v = got.Results["approve/message"]
	}
	question, err := text(v)
	if err != nil {
		return ""
	}
	return question
}
