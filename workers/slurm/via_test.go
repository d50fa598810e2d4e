package slurm

import (
	"errors"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
)

// startLogin starts an SSH server on this computer as a login node, whose users have no
// SLURM_CONF, and returns the settings that reach it; or skips the test.
func startLogin(t *testing.T) map[string]any {
	t.Helper()
	s, err := rigs.StartSSH(t.TempDir())
	if errors.Is(err, rigs.ErrMissing) {
		t.Skip("SKIP: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.End)
	return s.Settings()
}

// Through a login node it is the same.
func TestViaALoginNode(t *testing.T) {
	t.Parallel()
	via := startLogin(t)
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	w := r.ward(t, map[string]any{"via": via})
	if err := w.Check(t.Context(), w.t); err != nil {
		t.Fatal(err)
	}
	j := job("far", `echo "$TOKEN" | tr a-z A-Z; exit 4`)
	j.Secrets = map[string]string{"TOKEN": "hidden"}
	w.submit(t, j)
	w.submit(t, j)
	if st := w.ends(t, "far"); st.Exit != 4 || w.log(t, "far") != "HIDDEN\n" {
		t.Errorf("got %+v, log %q", st, w.log(t, "far"))
	}
	w.submit(t, job("stop", long))
	w.runs(t, "stop")
	if err := w.Cancel(t.Context(), w.t, "stop", target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	if st := w.ends(t, "stop"); st.State != target.Cancelled {
		t.Errorf("got %+v", st)
	}
}
