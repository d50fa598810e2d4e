package slurm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// withClients is a folder of clients in which one is replaced by a script. real stands for
// the path of the true one.
func withClients(t *testing.T, name, script string) map[string]any {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\n" + strings.ReplaceAll(script, "real", rigs.Program(name)) + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"bin": dir}
}

// A submission that dies between Slurm's answer and its record is found by the next one:
// Slurm has one job, and it starts once.
func TestACrashBetweenSlurmAndTheRecord(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	starts := filepath.Join(t.TempDir(), "starts")
	w := r.ward(t, nil)
	// The client does its work, and takes those down with it that wait for its answer: the
	// shell of the tool, and timeout.
	dying := w
	dying.t = r.target(t, w.dir, withClients(t, "sbatch", `real "$@"; parent=$(ps -o ppid= -p $PPID); kill -KILL $parent $PPID`))
	j := job("crash", "echo x >>'"+starts+"'")
	if err := dying.Submit(t.Context(), dying.t, j, &targettest.Blobs{}); err == nil {
		t.Fatal("the submission was to die, and did not")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "jobs", "crash", "queue")); err == nil {
		t.Fatal("it has a record, so that nothing is tested")
	}
	w.submit(t, j)
	if st := w.ends(t, "crash"); st.State != target.Succeeded {
		t.Errorf("got %+v", st)
	}
	if n := strings.Fields(r.Ask("squeue", "--states=all", "-h", "--name=crash", "-o", "%i")); len(n) != 1 {
		t.Errorf("Slurm has %q", n)
	}
	if text, _ := os.ReadFile(starts); string(text) != "x\n" {
		t.Errorf("it started %q", text)
	}
}

// Should Slurm have a second job of the same folder, it starts nothing.
func TestASecondJobOfSlurmStartsNothing(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	starts := filepath.Join(t.TempDir(), "starts")
	w := r.ward(t, map[string]any{"options": map[string]any{"hold": true}})
	w.submit(t, job("twice", "echo x >>'"+starts+"'; echo on; sleep 2")) // longer than the second job takes to find that out
	r.awaits(t, "held jobs", func() bool { return strings.Contains(w.again().status(t, "twice").Reason, "held by its user") })
	n := w.number(t, "twice")
	script := filepath.Join(t.TempDir(), "script")
	if said := r.Ask("scontrol", "write", "batch_script", n, script); !strings.Contains(said, "written") {
		t.Fatal(said)
	}
	second := r.Ask("sbatch", "--parsable", "--output=none", script)
	r.Ask("scontrol", "release", n)
	if st := w.ends(t, "twice"); st.State != target.Succeeded {
		t.Errorf("got %+v", st)
	}
	for _, n := range []string{n, second} {
		r.awaits(t, "completed jobs", func() bool { return strings.Contains(r.Ask("scontrol", "show", "job", n), "JobState=COMPLETED") })
	}
	if text, _ := os.ReadFile(starts); string(text) != "x\n" {
		t.Errorf("it started %q", text)
	}
}

// A controller that is away loses nothing: a submission may be tried again, a running job
// is known to run, and ends as it would have.
func TestAControllerThatIsAway(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	w := r.ward(t, nil)
	stay := filepath.Join(t.TempDir(), "stay")
	if err := os.WriteFile(stay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.submit(t, job("away", "echo on; while [ -e '"+stay+"' ]; do sleep 0.05; done; exit 6"))
	w.submit(t, job("stopped", long))
	w.runs(t, "away")
	w.runs(t, "stopped")
	r.Stop("slurmctld")
	// The clients of a controller that is away wait long; ours say at once what they would say.
	dead := r.target(t, w.dir, withClients(t, "sbatch", `echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2; exit 1`))
	err := New().Submit(t.Context(), dead, job("later", "true"), &targettest.Blobs{})
	if !errors.Is(err, target.ErrUnreachable) || errors.Is(err, target.ErrPermanent) {
		t.Errorf("submit: got %v", err)
	}
	quick := r.target(t, w.dir, withClients(t, "squeue", `echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1`))
	st, err := New().Status(t.Context(), quick, "away")
	if err != nil || st.State != target.Running || !strings.Contains(st.Reason, "cannot be reached") {
		t.Errorf("status: got %+v, %v", st, err)
	}
	// The node looks for the mark itself.
	none := r.target(t, w.dir, withClients(t, "scancel", `echo "Unable to contact slurm controller (connect failure)" >&2; exit 1`))
	if err := New().Cancel(t.Context(), none, "stopped", target.CauseCancel); !errors.Is(err, target.ErrUnreachable) {
		t.Errorf("cancel: got %v", err)
	}
	if st := w.ends(t, "stopped"); st.State != target.Cancelled || strings.Count(w.log(t, "stopped"), "told") != 1 {
		t.Errorf("got %+v, log %q", st, w.log(t, "stopped"))
	}
	if err := os.Remove(stay); err != nil {
		t.Fatal(err)
	}
	if st := w.ends(t, "away"); st.Exit != 6 {
		t.Errorf("got %+v", st)
	}
	if err := r.Start("slurmctld"); err != nil {
		t.Fatal(err)
	}
	r.awaits(t, "controllers", func() bool { return strings.Contains(r.Ask("scontrol", "ping"), "UP") })
	w.submit(t, job("later", "true"))
	if st := w.ends(t, "later"); st.State != target.Succeeded {
		t.Errorf("got %+v", st)
	}
}

// A job that waits leaves Slurm's queue when it is cancelled, and so do its secrets.
func TestCancelWhileItWaits(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	w := r.ward(t, map[string]any{"options": map[string]any{"hold": true}})
	j := job("waits", "true")
	j.Secrets = map[string]string{"TOKEN": "5up3r-hidden"}
	w.submit(t, j)
	if said, err := exec.Command("grep", "-rlF", "5up3r-hidden", r.dir).Output(); len(said) > 0 {
		t.Errorf("Slurm keeps the secret in %s (%v)", said, err)
	}
	n := w.number(t, "waits")
	if err := w.Cancel(t.Context(), w.t, "waits", target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	if st := w.ends(t, "waits"); st.State != target.Cancelled {
		t.Errorf("got %+v", st)
	}
	r.awaits(t, "cancelled jobs", func() bool { return strings.Contains(r.Ask("scontrol", "show", "job", n), "JobState=CANCELLED") })
	if said, _ := exec.Command("grep", "-rlF", "5up3r-hidden", w.dir).Output(); len(said) > 0 {
		t.Errorf("the secret stays in %s", said)
	}
}

// Ranks find each other by what they are told, on nodes that Slurm has chosen, and begin
// together or not at all.
func TestRanksMeet(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: there is no python3: apt-get install -y python3")
	}
	r := startSlurm(t, rigs.SlurmOptions{CPUs: 1})
	w := r.ward(t, map[string]any{"gres": "gpu:1"})
	j := target.Job{ID: "meet", Command: []string{"python3", "-c", `
import os, socket, time
rank, where = int(os.environ["RANK"]), (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    s = socket.create_server(where)
    c, _ = s.accept()
    print("met", c.makefile().readline(), end="")
else:
    while True:
        try:
            c = socket.create_connection(where)
            break
        except OSError:
            time.sleep(0.05)
    c.sendall(f"rank {rank} of {os.environ['WORLD_SIZE']}\n".encode())
print("lent", os.environ["CUDA_VISIBLE_DEVICES"], os.environ["SLURM_JOB_NODELIST"])
`}, Needs: target.Resources{Nodes: 2}}
	r.Ask("scontrol", "update", "node=n2", "state=drain", "reason=test")
	w.submit(t, j)
	r.awaits(t, "reasons", func() bool { return w.again().status(t, "meet").Reason != "" })
	if st := w.status(t, "meet"); st.State != target.Waiting || w.log(t, "meet") != "" {
		t.Errorf("with one node it is %+v, log %q", st, w.log(t, "meet"))
	}
	r.Ask("scontrol", "update", "node=n2", "state=resume")
	if st := w.ends(t, "meet"); st.State != target.Succeeded || w.log(t, "meet") != "met rank 1 of 2\nlent 0 n[1-2]\n" {
		t.Errorf("got %+v, log %q", st, w.log(t, "meet"))
	}
}

// The supervisor of a rank that is killed leaves a job that is lost, of which nothing runs.
func TestASupervisorThatIsKilled(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	w := r.ward(t, nil)
	w.submit(t, job("orphan", `ps -o ppid= -p $$ >pid; echo on; exec sleep 300`))
	w.runs(t, "orphan")
	pid, err := exec.Command("sh", "-c", "cat '"+w.dir+"'/jobs/orphan/*/code/pid").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("kill", "-KILL", strings.TrimSpace(string(pid))).Run(); err != nil {
		t.Fatal(err)
	}
	if st := w.ends(t, "orphan"); st.State != target.Lost || !strings.Contains(st.Reason, "supervisor") {
		t.Errorf("got %+v", st)
	}
	r.awaits(t, "empty queues", func() bool { return r.Ask("squeue", "-h") == "" })
}
