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
	models := registry.Open(s.Store)
	for _, output := range sortedKeys(s.Models.Names) {
		ref, made := o.Artifacts[output]
		if !made {
			continue // promised has said so
		}
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
		v, err := models.Register(ctx, blobs, s.Models.Names[output], ref, origin)
		if err != nil {
			return err
		}
		if o.Models == nil {
			o.Models = map[string]string{}
		}
		o.Models[output] = v.Reference()
		if note := danger(v.Reference(), v.Risky); note != "" {
			o.Notes = append(o.Notes, note)
		}
	}
	return nil
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
