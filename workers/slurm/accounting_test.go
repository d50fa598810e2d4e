package slurm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
)

// startAccounting starts what keeps the accounts of a cluster, a database and the daemon
// before it, and returns the lines of its configuration; or it skips the test.
func startAccounting(t *testing.T) []string {
	t.Helper()
	for _, name := range []string{"slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacctmgr"} {
		if rigs.Program(name) == "" {
			t.Skipf("SKIP: there is no %s: apt-get install -y --no-install-recommends slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core", name)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("SKIP: the database runs as root here")
	}
	// The path of a socket is short.
	dir, err := os.MkdirTemp("", "db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	made := exec.Command(rigs.Program("mariadb-install-db"), "--no-defaults", "--user=root", "--datadir="+dir+"/data", "--auth-root-authentication-method=normal", "--skip-test-db")
	if said, err := made.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	daemon(t, dir, exec.Command(rigs.Program("mariadbd"), "--no-defaults", "--user=root", "--datadir="+dir+"/data", "--socket="+socket, "--skip-networking", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"))
	eventually(t, "databases", func() bool {
		return exec.Command(rigs.Program("mariadb"), "--no-defaults", "-S", socket, "-u", "root", "-e",
			"create database if not exists slurm_acct_db; create or replace user 'slurm'@'localhost' identified by 'x'; grant all on slurm_acct_db.* to 'slurm'@'localhost'").Run() == nil
	})
	ports, err := rigs.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := ports[0]
	conf := filepath.Join(dir, "slurmdbd.conf")
	text := fmt.Sprintf("AuthType=auth/none\nDbdHost=localhost\nDbdPort=%s\nSlurmUser=root\nStorageType=accounting_storage/mysql\nStorageHost=localhost\nStorageUser=slurm\nStoragePass=x\nStorageLoc=slurm_acct_db\nLogFile=%[2]s/log\nPidFile=%[2]s/pid\n", port, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(rigs.Program("slurmdbd"), "-D")
	c.Env = append(os.Environ(), "SLURM_CONF="+filepath.Join(dir, "slurm.conf"), "MYSQL_UNIX_PORT="+socket)
	daemon(t, dir, c)
	eventually(t, "accounts", func() bool {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return strings.Contains(string(log), "started")
	})
	return []string{"AccountingStorageType=accounting_storage/slurmdbd", "AccountingStorageHost=localhost", "AccountingStoragePort=" + port}
}

// daemon runs a program until the test ends.
func daemon(t *testing.T, dir string, c *exec.Cmd) {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, filepath.Base(c.Path)+".out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
		_ = c.Wait()
		late.Stop()
	})
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there were no %s", what)
		}
	}
}

// What Slurm's controller has forgotten its accounts still tell, of jobs alone and of tasks
// of arrays: why a job ended that its node cannot explain.
func TestSlurmsAccounts(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1, Extra: append(startAccounting(t), "MinJobAge=2")})
	w := r.ward(t, nil)
	// It takes its supervisor and the batch script down with it, so that the node is silent.
	const silent = `echo on; supervisor=$(ps -o ppid= -p $$); kill -KILL $(ps -o ppid= -p $supervisor) $supervisor $$`
	numbers := map[string]string{}
	over := func(id string) {
		r.awaits(t, "accounts of "+id, func() bool {
			said := r.Ask("sacct", "-X", "-n", "-P", "-j", numbers[id], "-o", "State")
			return said != "" && !strings.Contains(said, "RUNNING") && !strings.Contains(said, "PENDING")
		})
	}
	for id, script := range map[string]string{"silent": silent, "cancelled": long, "preempted": long} {
		w.submit(t, job(id, script))
	}
	tasks := w.items(t, 2, func(int) string { return silent })
	for _, id := range append([]string{"silent", "cancelled", "preempted"}, tasks...) {
		w.runs(t, id)
		numbers[id] = w.number(t, id)
	}
	r.Ask("scancel", "--signal=KILL", "--full", numbers["cancelled"])
	r.Ask("scancel", numbers["cancelled"])
	for _, id := range append([]string{"silent", "cancelled"}, tasks...) {
		over(id)
	}
	r.Ask("sbatch", "--partition=first", "--exclusive", "--output=none", "--wrap=true")
	over("preempted")
	for _, q := range []struct {
		id    string
		state target.State
		cause target.Cause
		words string
	}{
		{"silent", target.Lost, target.CauseLost, "which Slurm has as FAILED"},
		{"cancelled", target.Cancelled, target.CauseCancel, "cancelled in Slurm"},
		{"preempted", target.Failed, target.CausePreempted, "taken its nodes away"},
		{tasks[0], target.Lost, target.CauseLost, "which Slurm has as FAILED"},
		{tasks[1], target.Lost, target.CauseLost, "which Slurm has as FAILED"},
	} {
		n := numbers[q.id]
		r.awaits(t, "forgotten jobs", func() bool { return strings.Contains(r.Ask("scontrol", "show", "job", n), "Invalid job id") })
		st := w.again().ends(t, q.id)
		if st.State != q.state || st.Cause != q.cause || !strings.Contains(st.Reason, q.words) {
			t.Errorf("%s: got %+v\n%s", q.id, st, r.Ask("sacct", "-X", "-P", "-j", n, "-o", "JobID,State,ExitCode"))
		}
	}
}
