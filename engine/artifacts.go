package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// Artifact is a file or folder that a stage of a run made.
type Artifact struct {
	Stage    string     `json:"stage"` // "train", "train[3]", "nested/train"
	Output   string     `json:"output"`
	Artifact target.Ref `json:"artifact"`
	Files    int        `json:"files"`
	Bytes    int64      `json:"bytes"`
	Gone     bool       `json:"gone,omitempty"` // it is no longer kept
}

// ArtifactsOf lists what the stages of a run made, or one that is named, with its items and
// those within it.
func ArtifactsOf(ctx context.Context, p *flow.Progress, stage string) ([]Artifact, error) {
	b, err := blob.OpenFolder(p.Store)
	if err != nil {
		return nil, err
	}
	all := []Artifact{}
	add := func(name, output string, ref target.Ref) {
		a := Artifact{Stage: name, Output: output, Artifact: ref, Files: 1}
		if a.Gone = !b.Has(ref); a.Gone {
			a.Files = 0
		} else if e := a.measure(ctx, b); e != nil {
			err = errors.Join(err, e)
		}
		all = append(all, a)
	}
	leaves(p.Stages, "", func(name string, s *flow.StageProgress) {
		if stage != "" && !belongs(name, stage) || ctx.Err() != nil {
			return
		}
		for _, output := range slices.Sorted(maps.Keys(s.Outputs)) {
			text, _ := s.Outputs[output].(string)
			if ref := target.Ref(text); ref.Valid() {
				add(name, output, ref)
			}
		}
		if s.Tracked != "" {
			add(name, Tracked, s.Tracked)
		}
	})
	return all, err
}

// measure counts files and bytes.
func (a *Artifact) measure(ctx context.Context, b blob.Folder) error {
	if !a.Artifact.IsTree() {
		a.Bytes = b.Size(a.Artifact)
		return nil
	}
	files, err := target.ListTree(ctx, b, a.Artifact)
	a.Files = 0
	for _, f := range files {
		if f.Ref != "" {
			a.Files++
			a.Bytes += b.Size(f.Ref)
		}
	}
	return err
}

// FetchArtifact copies an artifact to path, where nothing is.
func FetchArtifact(ctx context.Context, store string, ref target.Ref, path string) error {
	b, err := blob.OpenFolder(store)
	if err != nil {
		return err
	}
	return target.Get(ctx, b, ref, path)
}

// LoggedParams are the params that a stage has logged to MLflow, in runs that are part of
// no other. Of a name that several runs have it is the last one's.
func LoggedParams(ctx context.Context, store string, tracked target.Ref) (map[string]string, error) {
	if tracked == "" {
		return nil, nil
	}
	b, err := blob.OpenFolder(store)
	if err != nil {
		return nil, err
	}
	files, err := target.ListTree(ctx, b, tracked)
	if err != nil {
		return nil, removed(b, tracked, err)
	}
	for _, f := range files {
		if f.Path != "runs.json" {
			continue
		}
		r, err := b.Open(ctx, f.Ref)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		var logged struct {
			Runs []struct {
				Parent string            `json:"parent"`
				Params map[string]string `json:"params"`
			} `json:"runs"`
		}
		if err := json.NewDecoder(r).Decode(&logged); err != nil {
			return nil, err
		}
		params := map[string]string{}
		for _, one := range logged.Runs {
			if one.Parent == "" {
				maps.Copy(params, one.Params)
			}
		}
		return params, nil
	}
	return nil, nil
}
