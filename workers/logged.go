package workers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Enlisted is a version of a model that a job has registered itself.
type Enlisted = tracking.Enlisted

// logged looks for models among what a job has logged through the tracking API: an output
// that it did not write itself is the model that it logged under this name, and what it
// registered there is registered here. So code that knows nothing of amlflow gives models
// that flow on.
func logged(ctx context.Context, blobs target.Blobs, s Submission, o *Outcome) error {
	if o.Tracked == "" {
		return nil
	}
	made, err := tracking.ReadMade(ctx, blobs, o.Tracked)
	if errors.Is(err, target.ErrPermanent) { // training of hours must not fail for it
		o.Notes = append(o.Notes, "no models were looked for in what was logged with MLflow: "+words(err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("what was logged with MLflow: %w", err)
	}
	for _, out := range s.Job.Outputs {
		if _, ok := o.Artifacts[out.Name]; ok || out.Type == target.File {
			continue
		}
		ref, err := made.Model(ctx, blobs, out.Name)
		if err != nil {
			return err
		}
		if ref != "" {
			if o.Artifacts == nil {
				o.Artifacts = map[string]target.Ref{}
			}
			o.Artifacts[out.Name] = ref
		}
	}
	o.Enlisted, err = made.Enlisted(ctx, blobs)
	return err
}

// enlist keeps the models that a job has registered itself, under the names that it gave
// them as far as they can be names here.
func enlist(ctx context.Context, blobs target.Blobs, s Submission, o *Outcome) error {
	models := registry.Open(s.Store)
	for _, e := range o.Enlisted {
		name := modelName(e.Name)
		if name == "" {
			o.Notes = append(o.Notes, fmt.Sprintf("the model %q that was registered with MLflow cannot have this name here", e.Name))
			continue
		}
		v, err := models.Register(ctx, blobs, name, e.Model, s.origin("mlflow", o))
		if err != nil {
			return err
		}
		if name != e.Name {
			o.Notes = append(o.Notes, fmt.Sprintf("%q%s%s", e.Name, Renamed, v.Reference()))
		}
		o.known(e.Name, v)
	}
	return nil
}

// known notes how the registry knows an artifact.
func (o *Outcome) known(output string, v registry.Version) {
	if o.Models == nil {
		o.Models = map[string]string{}
	}
	o.Models[output] = v.Reference()
	if note := danger(v.Reference(), v.Risky); note != "" {
		o.Notes = append(o.Notes, note)
	}
}

// Renamed is what a note says of a model whose name could not be kept as it was.
const Renamed = ", which was registered with MLflow, is the model "

var notInNames = regexp.MustCompile(`[^a-z0-9._-]+`)

// modelName is the name that a model has here whose name elsewhere may have capitals,
// spaces and the like; empty when nothing is left of it.
func modelName(name string) string {
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-._")
	if !registry.ValidName(name) {
		return ""
	}
	return name
}
