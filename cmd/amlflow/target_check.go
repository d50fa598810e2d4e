package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/probe"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

// checking is how targets are checked.
type checking struct {
	quick   bool
	image   string
	timeout time.Duration
}

func (p *program) targetCheckVerb() *cobra.Command {
	var c checking
	v := &cobra.Command{
		Use: "check [NAME…]", Short: "Try targets with a tiny real job, and say what is missing and what to do", Args: cobra.ArbitraryArgs,
		Long: `Check asks each target whether it can be used, and runs two tiny jobs on it: one gets
a file and gives it back, the other is stopped. So each thing that stages need has been
tried: to submit, to follow, to read the log, to fetch outputs by their digest, to
cancel and to clean. All targets are tried at the same time; nothing is left on them.
It ends with 5 when one of them cannot be used.

It also tells what the machines have, and what would hold a job there to its "memory"
and "cpus": control groups, a look each second, Slurm as it is configured, or nobody.
A question mark is what cannot be told.

-o json prints {"targets":[{"target","kind","usable","reason","steps":[{"step","state","took","reason"}],
"machines":[{"name","alike","cpus","memory","gpus","memory_by","cpus_by"}],"unseen"}]}, where state is ok or no,
took a number of seconds, memory bytes, and unseen why machines could not be looked at.`,
		ValidArgsFunction: p.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			targets, err := p.targets()
			if err != nil {
				return err
			}
			if targets, err = chosen(targets, args); err != nil {
				return err
			}
			return p.checkTargets(ctx, targets, c)
		},
	}
	v.Flags().BoolVar(&c.quick, "quick", false, "only ask whether the target can be used; run nothing")
	v.Flags().StringVar(&c.image, "image", "", "the container image for the jobs, on targets that run images")
	v.Flags().DurationVar(&c.timeout, "timeout", time.Minute, "how long each target may take")
	return p.prints(v, "json")
}

// chosen keeps the targets that are named, or all when none is.
func chosen(targets []target.Target, names []string) ([]target.Target, error) {
	if len(names) == 0 {
		return targets, nil
	}
	byName, known := map[string]target.Target{}, []string(nil)
	for _, t := range targets {
		byName[t.Name], known = t, append(known, t.Name)
	}
	var out []target.Target
	for _, name := range names {
		t, ok := byName[name]
		if !ok {
			return nil, unknown("target", name, known)
		}
		out = append(out, t)
	}
	return out, nil
}

// trialJSON is what came of checking one target.
type trialJSON struct {
	Target string     `json:"target"`
	Kind   string     `json:"kind"`
	Usable bool       `json:"usable"`
	Reason string     `json:"reason"`
	Steps  []stepJSON `json:"steps"`
	// Machines are what it has, as far as its driver can tell; Unseen why it cannot.
	Machines []target.Machine `json:"machines"`
	Unseen   *string          `json:"unseen"`
}

// stepJSON is one step of a trial. Steps behind one that went wrong are left out.
type stepJSON struct {
	Step   string  `json:"step"`
	State  string  `json:"state"`
	Took   float64 `json:"took"` // seconds
	Reason *string `json:"reason"`
}

func (p *program) checkTargets(ctx context.Context, targets []target.Target, c checking) error {
	verdicts, err := p.tryTargets(ctx, targets, c)
	if err != nil {
		return err
	}
	code := exitOK
	for _, v := range verdicts {
		if !v.Usable {
			code = exitUnreachable
		}
	}
	if ctx.Err() != nil {
		code = exitInterrupted
	}
	if p.output == "json" {
		if err := p.json(map[string]any{"targets": verdicts}); err != nil {
			return err
		}
		return silently(code)
	}
	p.printVerdicts(verdicts, c)
	return silently(code)
}

// tryTargets tries all targets at once, with a store of artifacts that is removed.
func (p *program) tryTargets(ctx context.Context, targets []target.Target, c checking) ([]trialJSON, error) {
	dir, err := os.MkdirTemp("", "amlflow-check-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	blobs, err := blob.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	verdicts := make([]trialJSON, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { verdicts[i] = p.tryTarget(ctx, t, blobs, c) })
	}
	all.Wait()
	return verdicts, nil
}

func (p *program) tryTarget(ctx context.Context, t target.Target, blobs target.Blobs, c checking) trialJSON {
	v := p.useTarget(ctx, t, blobs, c)
	v.Machines = []target.Machine{}
	if !v.Usable {
		return v
	}
	seen, err := p.survey(ctx, t)
	if v.Machines = append(v.Machines, seen...); err != nil {
		why := err.Error()
		v.Unseen = &why
	}
	return v
}

// useTarget asks whether a target can be used, and runs tiny jobs on it.
func (p *program) useTarget(ctx context.Context, t target.Target, blobs target.Blobs, c checking) trialJSON {
	v := trialJSON{Target: t.Name, Kind: t.Kind, Usable: true, Steps: []stepJSON{}}
	d, err := p.driverOf(t)
	if err == nil {
		err = p.misspelt(t)
	}
	if err != nil || c.quick {
		if err == nil {
			err = p.checkTarget(ctx, t)
		}
		if err != nil {
			v.Usable, v.Reason = false, err.Error()
		}
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	id := "check-" + strings.ToLower(rand.Text()[:12])
	for _, s := range probe.Try(ctx, d, t, probe.Options{ID: id, Image: c.image, Host: hostEnv(os.Environ()), Blobs: blobs}) {
		one := stepJSON{Step: s.Name, State: "ok", Took: s.Took.Round(time.Millisecond).Seconds()}
		if s.Err != nil {
			why := plainly(s.Err)
			one.State, one.Reason = "no", &why
			v.Usable, v.Reason = false, s.Name+": "+why
		}
		v.Steps = append(v.Steps, one)
	}
	return v
}

// plainly is an error without the words that only programs look for.
func plainly(err error) string {
	text := strings.ReplaceAll(err.Error(), ": "+target.ErrPermanent.Error(), "")
	if errors.Is(err, context.DeadlineExceeded) {
		text = strings.NewReplacer("\n"+context.DeadlineExceeded.Error(), "", ": "+context.DeadlineExceeded.Error(), "").Replace(text)
	}
	return text
}

// printVerdicts prints a line for each target, and below what is wrong.
func (p *program) printVerdicts(verdicts []trialJSON, c checking) {
	head := []string{"NOW", "TARGET", "KIND"}
	if !c.quick {
		for _, step := range probe.Steps() {
			head = append(head, strings.ToUpper(step))
		}
	}
	rows := [][]string{p.heading(head...)}
	for _, v := range verdicts {
		row := []string{p.good(v.Usable), v.Target, v.Kind}
		for i := range len(head) - len(row) {
			cell := "-"
			if i < len(v.Steps) && v.Steps[i].Reason != nil {
				cell = p.good(false)
			} else if i < len(v.Steps) {
				cell = took(time.Duration(v.Steps[i].Took * float64(time.Second)))
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	table(p.out, rows)
	rows = [][]string{p.machineHead("TARGET")}
	for _, v := range verdicts {
		for _, m := range v.Machines {
			rows = append(rows, append([]string{v.Target}, machineRow(m)...))
		}
	}
	if len(rows) > 1 {
		p.print("")
		table(p.out, rows)
	}
	for _, v := range verdicts {
		if !v.Usable {
			p.print("\n%s: %s", p.paintOut(bold, v.Target), v.Reason)
		} else if v.Unseen != nil {
			p.print("\n%s: what its machines have could not be told: %s", p.paintOut(bold, v.Target), *v.Unseen)
		}
	}
}

func (p *program) good(ok bool) string {
	if ok {
		return p.paintOut(green, "ok")
	}
	return p.paintOut(red, "no")
}

// checkTarget asks whether a target can be used now, and runs nothing.
func (p *program) checkTarget(ctx context.Context, t target.Target) error {
	d, err := p.driverOf(t)
	if err == nil {
		err = p.misspelt(t)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	if err := d.Check(ctx, t); err != nil {
		return errors.New(plainly(err))
	}
	return nil
}

// misspelt says what is wrong with what the workspace says of a target, all of it. Drivers are
// not asked about settings that their schema refuses.
func (p *program) misspelt(t target.Target) error {
	w, err := p.workspace()
	if err != nil {
		return err
	}
	var all []string
	for _, one := range w.Targets {
		if one.Name != t.Name {
			continue
		}
		for _, f := range plan.CheckTarget(w, one, p.drivers()) {
			if f.Severity == diag.Error {
				all = append(all, fmt.Sprintf("%s: %s: %s", f.Pos, f.Message, f.Hint))
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "; "))
}

// targetsUsable is what the doctor says of the targets of the workspace.
func (p *program) targetsUsable(ctx context.Context) []symptom {
	targets, err := p.targets()
	if err != nil {
		return []symptom{{Check: "targets", State: "warn", Found: err.Error(), Cure: "`" + invocation() + " validate` shows all that is wrong with the workspace"}}
	}
	all := make([]symptom, len(targets))
	var asked sync.WaitGroup
	for i, t := range targets {
		asked.Go(func() {
			s := symptom{Check: "target " + t.Name, State: "ok", Found: fmt.Sprintf("can be used; `%s target check %s` tries it", invocation(), t.Name)}
			if err := p.checkTarget(ctx, t); err != nil {
				s.State, s.Found = "warn", err.Error()
			} else if seen, _ := p.survey(ctx, t); unheldWords(seen) != "" { // that it can be used counts
				s.Found += "; " + unheldWords(seen)
			}
			all[i] = s
		})
	}
	asked.Wait()
	return all
}
