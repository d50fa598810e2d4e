package remote

import (
	"context"
	"fmt"
	"strings"
)

// Way is what came of a machine logging in to another one, as mpirun does.
type Way struct {
	OK    bool
	Blind bool   // it gets there, and the folder of the unit is not on a disk that both share
	Why   string // what it was told instead of being let in
}

// Reaches tries whether the machine can start processes on others for a unit that is laid
// out: agent is the command that logs in, and its first arguments. missing is a program that
// the machine does not have.
func (m *Machine) Reaches(ctx context.Context, unit, agent string, others []string) (ways []Way, missing string, err error) {
	text, err := m.ask(ctx, say(append([]string{agent}, others...)...), "reaches", unit)
	if err != nil {
		return nil, "", fmt.Errorf("try the ways to other hosts: %w", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		what, rest, _ := strings.Cut(line, " ")
		if what == "missing" {
			return nil, rest, nil
		}
		ways = append(ways, Way{OK: what == "ok", Blind: what == "blind", Why: rest})
	}
	if len(ways) != len(others) {
		return nil, "", fmt.Errorf("try the ways to other hosts: the host answered %.200q", text)
	}
	return ways, "", nil
}
