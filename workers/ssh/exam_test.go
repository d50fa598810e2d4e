package ssh

import (
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// thereNames are what the user has on the host, and may show in a job.
var thereNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}

// talkative is a login shell that prints before it does what it is told, without a line
// break at the end.
const talkative = `ForceCommand echo Welcome; printf 'to this host'; echo mind the gap >&2; eval "$SSH_ORIGINAL_COMMAND"`

func TestExam(t *testing.T) {
	for name, lend := range map[string]func(t *testing.T) func(dir string) target.Target{
		"one host": func(t *testing.T) func(string) target.Target {
			r := startServer(t, talkative)
			return func(dir string) target.Target { return r.target(t, dir, nil) }
		},
		"two hosts": func(t *testing.T) func(string) target.Target {
			return startPair(t).target
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := lend(t)
			targettest.Run(t, func(t *testing.T) targettest.Harness {
				dir, host := t.TempDir(), map[string]string{}
				for _, name := range thereNames {
					host[name] = "what the submitting shell has means nothing there"
				}
				return targettest.Harness{Driver: driver(t), Other: func(t *testing.T) target.Driver { return driver(t) }, Target: at(dir), Host: host, Shared: t.TempDir(), Folder: dir, Local: true}
			})
		})
	}
}

// pair is two servers that share their disk, as far as jobs can tell.
type pair struct {
	t    *testing.T
	a, b *rig
}

func startPair(t *testing.T) pair {
	t.Helper()
	p := pair{t: t, a: startServer(t), b: startServer(t)}
	p.b.write(t, "authorized_keys", p.a.read(t, "authorized_keys"))
	p.a.write(t, "known_hosts", p.a.read(t, "known_hosts")+p.b.read(t, "known_hosts"))
	return p
}

func (p pair) target(dir string) target.Target {
	return p.a.target(p.t, dir, map[string]any{"host": nil, "hosts": []string{p.a.address(), p.b.address()}})
}
