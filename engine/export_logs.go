package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
)

// mostRanks bounds for how many ranks of a job logs are looked for.
const mostRanks = 256

// logs adds the logs that are kept: of the last attempt of each stage the one that
// decided its end, and those of earlier attempts and further ranks whose folders are
// still there.
func (x *exporter) logs(ctx context.Context) error {
	leaves(x.run.Stages, "", func(name string, s *flow.StageProgress) {
		if s.Job == "" || s.Place == nil || ctx.Err() != nil {
			return
		}
		x.log(ctx, name, "logs/"+name+".log", s, s.Rank)
		for rank := range mostRanks {
			if rank != s.Rank && !x.log(ctx, name, fmt.Sprintf("logs/%s@rank-%d.log", name, rank), s, rank) {
				break
			}
		}
		for n, job := range earlierJobs(s) {
			one := *s
			one.Job, one.Log, one.Logs, one.Rank = job, "", "", 0
			x.log(ctx, name, fmt.Sprintf("logs/%s@attempt-%d.log", name, n+1), &one, 0)
		}
	})
	return ctx.Err()
}

// earlierJobs are the ids of the attempts before the last: they differ in the number
// at the end.
func earlierJobs(s *flow.StageProgress) []string {
	stem, ok := strings.CutSuffix(s.Job, fmt.Sprint(s.Attempts))
	if !ok {
		return nil
	}
	var ids []string
	for n := 1; n < s.Attempts; n++ {
		ids = append(ids, fmt.Sprint(stem, n))
	}
	return ids
}

// log adds one log, and reports whether there is something in it.
func (x *exporter) log(ctx context.Context, stage, name string, s *flow.StageProgress, rank int) bool {
	size, err := x.copyLog(ctx, filepath.Join(x.dir, filepath.FromSlash(name)), s, rank)
	if err != nil {
		x.lack("%s, a log of stage %q: %v", name, stage, err)
	}
	return size > 0
}

// copyLog copies a log into a file, which is there only when all of the log is. One
// that is kept is copied also when it is empty.
func (x *exporter) copyLog(ctx context.Context, path string, s *flow.StageProgress, rank int) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // it is made to be handed on
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // the same
	if err != nil {
		return 0, err
	}
	size, err := x.e.Logs(ctx, s, x.run.Store, rank, 0, f)
	kept := rank == s.Rank && s.Log != ""
	if err = errors.Join(err, f.Close()); err != nil || size == 0 && !kept {
		return 0, errors.Join(err, os.Remove(path)) // an attempt whose folder has gone, or a rank that there is not
	}
	return size, nil
}
