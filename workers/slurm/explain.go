package slurm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// unanswered are words of Slurm that say nothing about a job: the way to the controller,
// or to what vouches for the user, is cut.
var unanswered = []string{
	"Unable to contact slurm controller", "no answer from Slurm", "Socket timed out", "Connection refused",
	"Connection timed out", "Zero Bytes were transmitted", "Transport endpoint", "Slurm backup controller",
	"Slurm controller not responding", "standby mode", "Unable to establish", "Communication connection failure",
	"Insane message length", "Message receive failure", "Message send failure", "Munge", "munge", "authentication credential", "authentication error",
}

// full are words of Slurm that say that it takes the job later, perhaps: it has too many
// jobs now, or the nodes are away.
var full = []string{
	"temporarily", "maximum number of jobs", "MaxSubmit", "Required node not available", "Required partition not available",
	"partition configuration not available now", "Reservation is not usable", "Requested nodes are busy", "another submission",
	"No space left", "disk takes no more", "was cut off",
}

// explain tells what trying again may mend from what it cannot.
func explain(err error) error {
	var said *remote.ExitError
	if !errors.As(err, &said) {
		return err
	}
	words := strings.TrimSpace(strings.ReplaceAll(said.Stderr, "\n", "; "))
	switch {
	case words == "":
		return fmt.Errorf("a client of Slurm failed without a word: %w", err)
	case strings.HasPrefix(words, "there is no sbatch"):
		return fmt.Errorf("%s: %w", words, target.ErrPermanent)
	case mentions(words, unanswered):
		return fmt.Errorf("Slurm cannot be reached: %s: %w", words, target.ErrUnreachable)
	case mentions(words, full):
		return fmt.Errorf("Slurm does not take it now: %s", words)
	}
	return fmt.Errorf("Slurm refuses it: %s: change what the stage asks for, or the settings of the target: %w", words, target.ErrPermanent)
}

func mentions(words string, these []string) bool {
	for _, w := range these {
		if strings.Contains(words, w) {
			return true
		}
	}
	return false
}
