package ssh

import (
	"os"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// thereNames are what the user has on the host, and may show in a job.
var thereNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}

// talkative is a login shell that prints before it does what it is told, without a line
// break at the end.
const talkative = `ForceCommand echo Welcome; printf 'to this host'; echo mind the gap >&2; eval "$SSH_ORIGINAL_COMMAND"`

// One of two hosts talks: each question is asked on the one or the other, as it comes.
func TestExam(t *testing.T) {
	p := startPair(t)
	targettest.Run(t, func(t *testing.T) targettest.Harness {
		dir, host := workdir(t), map[string]string{}
		for _, name := range thereNames {
			host[name] = "what the submitting shell has means nothing there"
		}
		g := startGateways(t)
		return targettest.Harness{Driver: driver(t).Serving(g.Folder), KillServing: func(*testing.T) { g.Kill() }, Other: func(t *testing.T) target.Driver { return driver(t) }, Target: p.target(t, dir), Host: host, Shared: t.TempDir(), Folder: dir, Local: true}
	})
}

// workdir is a folder for jobs. What watches over one on its host may have something to
// put down after the job has ended: removing waits for it.
func workdir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		for end := time.Now().Add(10 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		}
	})
	return dir
}

// pair is two servers that share their disk, as far as jobs can tell.
type pair struct{ a, b *rig }

func startPair(t *testing.T) pair {
	t.Helper()
	p := pair{startServer(t, talkative), startServer(t)}
	p.b.write(t, "authorized_keys", p.a.read(t, "authorized_keys"))
	p.a.write(t, "known_hosts", p.a.read(t, "known_hosts")+p.b.read(t, "known_hosts"))
	return p
}

func (p pair) target(t *testing.T, dir string) target.Target {
	t.Helper()
	return p.a.target(t, dir, map[string]any{"host": nil, "hosts": []string{p.a.address(), p.b.address()}})
}
