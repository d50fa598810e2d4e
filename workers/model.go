package workers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
)

// Registration says under which names artifacts of a job are kept as models, and what is
// told of where they come from.
type Registration struct {
	Names  map[string]string `json:"names"` // of models, by output
	Origin registry.Origin   `json:"origin"`
}

// enter keeps the models among the results of a job that went well. It is part of
// the outcome: a job whose models are not on record has not ended for anybody. Done
// again, for the same content, it changes nothing.
func enter(ctx context.Context, blobs target.Blobs, s Submission, o *Outcome) error {
	if s.Models == nil || o.State != target.Succeeded {
		return nil
	}
	if err := enlist(ctx, blobs, s, o); err != nil {
		return err
	}
	models := registry.Open(s.Store)
	for _, output := range sortedKeys(s.Models.Names) {
		ref, made := o.Artifacts[output]
		if !made {
			continue // promised has said so
		}
		v, err := models.Register(ctx, blobs, s.Models.Names[output], ref, s.origin(output, o))
		if err != nil {
			return err
		}
		o.known(output, v)
	}
	return nil
}

// origin is what is told of where an output of a job comes from.
func (s *Submission) origin(output string, o *Outcome) registry.Origin {
	origin := s.Models.Origin
	origin.Job, origin.Output, origin.At, origin.Metrics, origin.Code = s.Job.ID, output, time.Now().UTC(), o.Metrics, s.Job.Code
	if o.Reused != nil {
		origin.Run, origin.Job, origin.At = o.Reused.Run, o.Reused.Job, o.Reused.At
	} else if !o.End.IsZero() {
		origin.At = o.End.UTC()
	}
	origin.Inputs = nil
	for _, in := range s.Job.Inputs {
		origin.Inputs = append(origin.Inputs, registry.Given{Name: in.Name, Artifact: in.Ref})
	}
	for _, l := range o.Loaded {
		origin.Inputs = append(origin.Inputs, registry.Given{Name: l.Model, Artifact: l.Artifact})
	}
	return origin
}

// Enrolment has results kept as models that are known already: those of the best of many
// jobs.
type Enrolment struct {
	Submission Submission `json:"submission"` // of the job that made them
	Outcome    Outcome    `json:"outcome"`    // what it left
}

// Enrol keeps the models among results that are known.
func (a *Activities) Enrol(ctx context.Context, e Enrolment) (Outcome, error) {
	blobs, err := a.Store(e.Submission.Store)
	if err != nil {
		return e.Outcome, err
	}
	return e.Outcome, enter(ctx, blobs, e.Submission, &e.Outcome)
}

// RunsCode is what a note says of a model that is, or holds, a pickle.
const RunsCode = "runs code when it is loaded"

// danger says which files of a model run code when they are loaded; "" when none does.
func danger(model string, risky []registry.Risk) string {
	if len(risky) == 0 {
		return ""
	}
	var files []string
	for _, r := range risky {
		files = append(files, strings.TrimSpace(r.File+" ("+r.Why+")"))
	}
	return fmt.Sprintf("the model %s %s: %s", model, RunsCode, strings.Join(files, ", "))
}
