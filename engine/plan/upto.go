package plan

import "slices"

// Upto is the plan without what a stage does not need: the stage itself, with all that
// must have ended before, and nothing of `finally` or the outputs. It is nil when there
// is no such stage.
func (p *Plan) Upto(stage string) *Plan {
	if p.Stage(stage) == nil {
		return nil
	}
	return p.only(p.before(stage, true))
}

// Before is the plan with only what must have ended before a stage; nil when that is
// nothing.
func (p *Plan) Before(stage string) *Plan {
	wanted := p.before(stage, false)
	if len(wanted) == 0 {
		return nil
	}
	return p.only(wanted)
}

// before are the stages that a stage cannot do without and, perhaps, the stage itself.
func (p *Plan) before(stage string, itself bool) map[string]bool {
	wanted := map[string]bool{stage: true}
	for _, s := range slices.Backward(p.Stages) { // each after everything that it needs
		if wanted[s.Name] {
			for _, n := range s.Needs {
				wanted[n.Stage] = true
			}
		}
	}
	if !itself {
		delete(wanted, stage)
	}
	return wanted
}

// only is the plan with these stages alone.
func (p *Plan) only(wanted map[string]bool) *Plan {
	out := *p
	out.Stages, out.Outputs = nil, nil
	for _, s := range p.Stages {
		if wanted[s.Name] {
			out.Stages = append(out.Stages, s)
		}
	}
	seal(&out)
	return &out
}
