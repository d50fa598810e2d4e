package slurm

import (
	"github.com/amlflow/amlflow/workers/rigs"

	"os/exec"
	"strings"
	"testing"
)

// Nodes may have any shell as /bin/sh.
func TestTheVerbsArePOSIX(t *testing.T) {
	for _, shell := range []string{"dash", "bash --posix", "busybox sh", "ksh", "zsh --emulate sh"} {
		f := strings.Fields(shell)
		if rigs.Program(f[0]) == "" {
			t.Logf("SKIP: there is no %s: apt-get install -y %s", f[0], f[0])
			continue
		}
		c := exec.Command(f[0], append(f[1:], "-n")...)
		c.Stdin = strings.NewReader(verbs())
		if said, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, said)
		}
	}
}
