package flow

import (
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Deployed is what a stage of a run that has ended has deployed, as it was.
func Deployed(in Input, s *State, stage string, evaluate func(Evaluation) (Evaluated, error)) (target.Deployment, error) {
	r := NewInterpreter(in, s, nil, time.Time{}).run
	i, ok := r.index[stage]
	if !ok || r.plan.Stages[i].Deploy == nil {
		return target.Deployment{}, fmt.Errorf("run %s has no stage %q that deploys", in.Run, stage)
	}
	p := r.progress.Stages[i]
	u := whole(&r.plan.Stages[i], &p)
	if p.Place == nil {
		return target.Deployment{}, fmt.Errorf("stage %q of run %s has deployed nothing", stage, in.Run)
	}
	e := r.evaluation(u)
	e.Texts, e.Depths = pending(u.s)
	got, err := evaluate(e)
	if err == nil && got.Error != "" {
		err = fmt.Errorf("%s", got.Error)
	}
	if err != nil {
		return target.Deployment{}, err
	}
	_, _, work, err := r.work(u, got)
	if err != nil {
		return target.Deployment{}, err
	}
	return work.(workers.Rollout).Deployment, nil
}
