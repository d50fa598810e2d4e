package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"

	"github.com/spf13/cobra"
)

// symptom is what one check found.
type symptom struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, warn or fail
	Found string `json:"found"`
	Cure  string `json:"cure,omitempty"`
}

func (p *program) doctorVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use: "doctor", Short: "Check what this computer has that runs need, and say what to do", Args: takes(0, 0),
		Long: `Doctor goes through everything that a run on this computer needs. It ends with 0
unless something that every run needs is missing.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return p.report(p.examine(ctx))
		},
	}, "json")
}

// examine is the list of checks.
func (p *program) examine(ctx context.Context) []symptom {
	return slices.Concat([]symptom{
		p.stateWritable(),
		p.diskSpace(),
		command("shell", "sh", "fail", "install a POSIX shell: jobs are started by one"),
		command("python3", "python3", "warn", "install python3: stages with Python scripts and `score:` need it"),
		command("git", "git", "warn", "install git, to keep your pipelines in"),
		p.limits(),
	}, p.targetsUsable(ctx), []symptom{
		p.engineAnswers(ctx),
		p.endpointsAnswer(ctx),
	}, p.schedulesServed(ctx))
}

func (p *program) report(all []symptom) error {
	bad := slices.ContainsFunc(all, func(s symptom) bool { return s.State == "fail" })
	if p.output == "json" {
		if err := p.json(map[string]any{"ok": !bad, "checks": all}); err != nil {
			return err
		}
	} else {
		var rows [][]string
		colours := map[string]string{"ok": green, "warn": yellow, "fail": red}
		for _, s := range all {
			rows = append(rows, []string{p.paintOut(colours[s.State], s.State), s.Check, s.Found})
			if s.Cure != "" {
				rows = append(rows, []string{"", "", s.Cure})
			}
		}
		table(p.out, rows)
	}
	if bad {
		return silently(exitFault)
	}
	return nil
}

func (p *program) stateWritable() symptom {
	s := symptom{Check: "state folder", State: "ok", Found: p.home}
	err := os.MkdirAll(p.home, 0o700)
	if err == nil {
		err = writable(p.home)
	}
	if err != nil {
		s.State, s.Found, s.Cure = "fail", err.Error(), "set AMLFLOW_HOME to a folder that you can write to, on a disk that is not full"
	}
	return s
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("ok\n")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// enough is how much free space a run should find.
const enough = 1 << 30

func (p *program) diskSpace() symptom {
	s := symptom{Check: "disk space", State: "ok"}
	free, err := freeSpace(p.home)
	switch {
	case err != nil:
		s.State, s.Found = "warn", "not known: "+err.Error()
	case free < enough:
		s.State, s.Found, s.Cure = "warn", fmt.Sprintf("%d MiB free", free>>20), "make room, or set AMLFLOW_HOME to a folder on another disk"
	default:
		s.Found = fmt.Sprintf("%d GiB free", free>>30)
	}
	return s
}

func command(check, name, without, cure string) symptom {
	path, err := exec.LookPath(name)
	if err != nil {
		return symptom{Check: check, State: without, Found: "not in PATH", Cure: cure}
	}
	return symptom{Check: check, State: "ok", Found: path}
}

func (p *program) limits() symptom {
	s := symptom{Check: "limits", State: "ok", Found: "memory and CPU limits of stages can be enforced"}
	if !writableCgroups() {
		s.State, s.Found = "warn", "no writable control group, so memory and CPU limits of stages are not enforced"
		s.Cure = "run amlflow where it may make control groups, or leave limits to the targets"
	}
	return s
}

// writableCgroups reports whether jobs can be given groups of their own.
func writableCgroups() bool {
	for _, dir := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup"} {
		if strings.HasSuffix(dir, "cgroup") && !exists(filepath.Join(dir, "cgroup.controllers")) {
			continue
		}
		group := filepath.Join(dir, fmt.Sprintf("amlflow-doctor-%d", os.Getpid()))
		if os.Mkdir(group, 0o755) == nil {
			_ = os.Remove(group)
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// enginePatience bounds how long the engine may take to answer the doctor.
const enginePatience = 30 * time.Second

func (p *program) engineAnswers(ctx context.Context) symptom {
	s := symptom{Check: "engine", State: "ok"}
	ctx, cancel := context.WithTimeout(ctx, enginePatience)
	defer cancel()
	w, err := p.workspace()
	if err == nil {
		began := time.Now()
		e, open := p.open(ctx, w, nil)
		if err = open; err == nil {
			s.Found = fmt.Sprintf("answers at %s, process %d, after %s", e.Info().Address, e.Info().PID, took(time.Since(began)))
			e.Close()
		}
	}
	if err != nil {
		s.State, s.Found, s.Cure = "fail", err.Error(), "see its log below "+p.home
		if errors.Is(err, cluster.ErrSlim) {
			s.Cure = ""
		}
	}
	return s
}

func (p *program) endpointsAnswer(ctx context.Context) symptom {
	s := symptom{Check: "endpoints", State: "ok"}
	all, err := p.endpoints(ctx)
	if err != nil {
		s.State, s.Found, s.Cure = "warn", err.Error(), "see gateway.log below "+p.home
		return s
	}
	down := 0
	for _, e := range all {
		if e.Reason != "" || ready(e.Instances) == fmt.Sprintf("0/%d", len(e.Instances)) {
			down++
		}
	}
	s.Found = fmt.Sprintf("%d served", len(all))
	if down > 0 {
		s.State, s.Found, s.Cure = "warn", fmt.Sprintf("%d of %d do not answer", down, len(all)), "`"+invocation()+" endpoint show NAME` says why"
	}
	return s
}
