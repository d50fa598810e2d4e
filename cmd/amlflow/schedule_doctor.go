package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema"
)

// atBoot has the background server started with the computer.
const atBoot = "to have it started with the computer, add `@reboot amlflow server start` to your crontab, or a unit of systemd: see docs/cli.md"

// schedulesServed warns of what begins nothing after a restart. It is no check without a
// schedule.
func (p *program) schedulesServed(ctx context.Context) []symptom {
	ctx, cancel := context.WithTimeout(ctx, enginePatience)
	defer cancel()
	w, err := p.workspace()
	if err != nil {
		return nil
	}
	n := p.awaited(ctx, w)
	if n == 0 {
		return nil
	}
	s := symptom{Check: "schedules", State: "ok", Found: fmt.Sprintf("%d begin runs while the background server is up, which starts with the computer", n)}
	if !startsAtBoot(ctx) {
		s.State, s.Cure = "warn", atBoot
		s.Found = fmt.Sprintf("%d begin runs while the background server is up, which it stays; nothing starts it with the computer", n)
	}
	return []symptom{s}
}

// startsAtBoot looks where people write down what is started with the computer.
func startsAtBoot(ctx context.Context) bool {
	starts := func(text []byte) bool { return bytes.Contains(text, []byte("amlflow server")) }
	home, _ := os.UserHomeDir()
	for _, dir := range []string{filepath.Join(home, ".config", "systemd", "user"), "/etc/systemd/user", "/etc/systemd/system"} {
		units, _ := filepath.Glob(filepath.Join(dir, "*.service"))
		for _, unit := range units {
			if text, err := os.ReadFile(unit); err == nil && starts(text) {
				return true
			}
		}
	}
	text, err := exec.CommandContext(ctx, "crontab", "-l").Output()
	return err == nil && starts(text)
}

// leaves says of a server that stops which schedules it leaves.
func (p *program) leaves(ctx context.Context) string {
	w, err := p.workspace()
	if err != nil {
		return ""
	}
	switch n := p.awaited(ctx, w); n {
	case 0:
		return ""
	case 1:
		return "1 schedule begins"
	default:
		return fmt.Sprintf("%d schedules begin", n)
	}
}

// awaited is how many schedules will begin runs, as far as is known.
func (p *program) awaited(ctx context.Context, w *schema.Workspace) int {
	e, err := p.open(ctx, w, nil)
	if err != nil {
		return 0 // that is said elsewhere
	}
	defer e.Close()
	all, _ := e.Schedules(ctx)
	return len(slices.DeleteFunc(all, func(s engine.Schedule) bool { return s.Paused }))
}
