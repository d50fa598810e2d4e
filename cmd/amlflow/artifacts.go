package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/engine"

	"github.com/spf13/cobra"
)

func (p *program) artifactsVerb() *cobra.Command {
	var to string
	v := &cobra.Command{
		Use: "artifacts [RUN [STAGE]]", Short: "List the files and folders that the stages of a run made",
		Long: `Artifacts lists what the stages of a run (the newest when none is named) made, or one
stage with its items: outputs, and under the name ` + engine.Tracked + ` what was logged to MLflow. With
--to they are copied into a folder, as STAGE/OUTPUT.`,
		Args: takes(0, 2), ValidArgsFunction: p.completeStages,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			e, id, err := p.runOf(ctx, args[:min(len(args), 1)], p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			r, err := e.Progress(ctx, id)
			if err != nil {
				return err
			}
			stage := ""
			if len(args) == 2 {
				stage = args[1]
			}
			if err := hasStage(r, stage); err != nil {
				return err
			}
			all, err := engine.ArtifactsOf(ctx, r, stage)
			if err != nil {
				return err
			}
			if to != "" {
				for _, a := range all {
					if err := p.fetchArtifact(cmd, r.Store, a, to); err != nil {
						return err
					}
				}
			}
			if p.output == "json" {
				return p.json(map[string]any{"run": r.Run, "artifacts": all})
			}
			rows := [][]string{p.heading("STAGE", "OUTPUT", "FILES", "SIZE", "ARTIFACT")}
			for _, a := range all {
				files, size := fmt.Sprint(a.Files), room(a.Bytes)
				if a.Gone {
					files, size = "-", "no longer kept"
				}
				rows = append(rows, []string{a.Stage, a.Output, files, size, short(string(a.Artifact))})
			}
			table(p.out, rows)
			return nil
		},
	}
	v.Flags().StringVar(&to, "to", "", "copy them into this folder")
	return p.prints(v, "json")
}

// fetchArtifact copies one of them. What is there is not replaced.
func (p *program) fetchArtifact(cmd *cobra.Command, store string, a engine.Artifact, to string) error {
	path := filepath.Join(to, filepath.FromSlash(a.Stage), a.Output)
	if a.Gone {
		p.say("%s: it is no longer kept", path)
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return ended{exitConflict, fmt.Errorf("%q is there already: name another folder", path)}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // it is made to be handed on
		return err
	}
	return engine.FetchArtifact(cmd.Context(), store, a.Artifact, path)
}
