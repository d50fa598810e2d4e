package workers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

// Loaded is a model of the registry that a job has loaded itself, through the tracking API.
type Loaded = tracking.Used

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
	for _, u := range made.Used() {
		o.Loaded = append(o.Loaded, u)
		o.Notes = append(o.Notes, fmt.Sprintf("it has loaded the model %s with MLflow: as an input of the stage it would be part of the plan", u.Model))
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
		name := registry.NameOf(e.Name)
		if name == "" {
			o.Notes = append(o.Notes, fmt.Sprintf("the model %q that was registered with MLflow cannot have this name here", e.Name))
			continue
		}
		if e.Model == "" { // it was there before, and only has another alias
			if err := alias(models, registry.Version{Model: name, Version: e.Version}, e.Aliases, o); err != nil {
				return err
			}
			continue
		}
		v, err := models.Register(ctx, blobs, name, e.Model, s.origin("mlflow", o))
		if err != nil {
			return err
		}
		if err := alias(models, v, e.Aliases, o); err != nil {
			return err
		}
		if name != e.Name {
			o.Notes = append(o.Notes, fmt.Sprintf("%q%s%s", e.Name, Renamed, v.Reference()))
		}
		o.known(e.Name, v)
	}
	return nil
}

// alias keeps what a job calls a version. What is a label here, people give.
func alias(models registry.Registry, v registry.Version, names []string, o *Outcome) error {
	for _, name := range names {
		if name == registry.Latest || slices.Contains(registry.Labels, name) {
			o.Notes = append(o.Notes, fmt.Sprintf("the alias %q stays with the job, since people give labels: amlflow model promote %s --label %s", name, v.Reference(), name))
			continue
		}
		err := models.Alias(v.Model, name, v.Version)
		if errors.Is(err, registry.ErrUnknown) { // it was removed meanwhile
			o.Notes = append(o.Notes, fmt.Sprintf("the alias %q of %s was not kept: %v", name, v.Reference(), err))
			continue
		}
		if err != nil {
			return err
		}
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
