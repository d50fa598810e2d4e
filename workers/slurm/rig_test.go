package slurm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// rig is a real Slurm on this computer: a controller, and nodes n1, n2….
type rig struct {
	dir     string
	daemons map[string]*exec.Cmd // by name: slurmctld, n1…
}

// rigOptions are what tests want to be different.
type rigOptions struct {
	nodes    int      // 2 when zero
	cpus     int      // of each node; 64 when zero
	silence  int      // how many seconds a node may be silent before it has failed
	extra    []string // lines of the configuration
	shutDown bool     // the controller is not started
}

// startSlurm starts a cluster that ends with the test, or skips the test.
func startSlurm(t testing.TB, o rigOptions) *rig {
	t.Helper()
	for _, name := range []string{"slurmctld", "slurmd", "sbatch"} {
		if program(name) == "" {
			t.Skipf("SKIP: there is no %s: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client", name)
		}
	}
	if o.nodes == 0 {
		o.nodes = 2
	}
	if o.cpus == 0 {
		o.cpus = 64
	}
	if o.silence == 0 {
		o.silence = 30
	}
	r := &rig{dir: t.TempDir(), daemons: map[string]*exec.Cmd{}}
	r.configure(t, o)
	t.Cleanup(r.end)
	if !o.shutDown {
		r.start(t, "slurmctld", "-c", "-D")
	}
	for n := 1; n <= o.nodes; n++ {
		r.start(t, fmt.Sprintf("n%d", n), "-D", "-N", fmt.Sprintf("n%d", n))
	}
	if !o.shutDown {
		r.awaits(t, "idle nodes", func() bool {
			return strings.Count(r.ask("sinfo", "-h", "-N", "-p", "all", "-o", "%T"), "idle") == o.nodes
		})
	}
	return r
}

// program finds a program, also a daemon's.
func program(name string) string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

func (r *rig) conf() string { return filepath.Join(r.dir, "slurm.conf") }

func (r *rig) configure(t testing.TB, o rigOptions) {
	t.Helper()
	text, err := os.ReadFile("testdata/slurm.conf")
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	ports := freePorts(t, o.nodes+1)
	conf := strings.NewReplacer("{{host}}", host, "{{port}}", ports[0], "{{user}}", me.Username, "{{dir}}", r.dir, "{{slurmd_timeout}}", fmt.Sprint(o.silence)).Replace(string(text))
	for n := 1; n <= o.nodes; n++ {
		conf += fmt.Sprintf("NodeName=n%d NodeHostname=%s NodeAddr=127.0.0.1 Port=%s CPUs=%d Boards=1 SocketsPerBoard=1 CoresPerSocket=%d ThreadsPerCore=1 RealMemory=65536 Gres=gpu:2 State=UNKNOWN\n", n, host, ports[n], o.cpus, o.cpus)
	}
	conf += "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=10 State=UP\n"
	conf += "PartitionName=short Nodes=ALL MaxTime=1 PriorityTier=10 State=UP\n"
	conf += "PartitionName=first Nodes=ALL MaxTime=INFINITE PriorityTier=100 State=UP\n"
	conf += strings.Join(o.extra, "\n") + "\n"
	r.write(t, "slurm.conf", conf)
	// Any character devices will do.
	r.write(t, "gres.conf", "Name=gpu File=/dev/zero\nName=gpu File=/dev/full\n")
	// slurmd loads a cgroup plugin whatever it is told; with an empty folder it does nothing.
	r.write(t, "cgroup.conf", "CgroupPlugin=cgroup/v1\nCgroupMountpoint="+r.dir+"/cgroup\nCgroupAutomount=no\n")
	for _, dir := range []string{"state", "cgroup"} {
		if err := os.Mkdir(filepath.Join(r.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// freePorts are ports of this computer that nobody listens on.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // once all are known, so that they differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		all = append(all, port)
	}
	return all
}

func (r *rig) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts a daemon: slurmctld, or a node by its name.
func (r *rig) start(t testing.TB, name string, args ...string) {
	t.Helper()
	which := "slurmd"
	if name == "slurmctld" {
		which = name
	}
	c := exec.Command(program(which), args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+r.conf())
	out, err := os.Create(filepath.Join(r.dir, name+".out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r.daemons[name] = c
}

// kill ends a daemon without a word.
func (r *rig) kill(name string) {
	_ = r.daemons[name].Process.Kill()
	_ = r.daemons[name].Wait()
	delete(r.daemons, name)
}

// stop has a daemon end, which writes down what it knows.
func (r *rig) stop(name string) {
	_ = r.daemons[name].Process.Signal(syscall.SIGTERM)
	_ = r.daemons[name].Wait()
	delete(r.daemons, name)
}

// end ends all jobs, then the daemons.
func (r *rig) end() {
	if r.daemons["slurmctld"] != nil {
		r.ask("scancel", "--full", "--signal=KILL", "--user="+r.ask("id", "-un"))
		r.ask("scancel", "--user="+r.ask("id", "-un"))
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && r.ask("squeue", "-h") != ""; time.Sleep(50 * time.Millisecond) {
		}
	}
	for _, c := range r.daemons {
		_ = c.Process.Signal(syscall.SIGTERM)
	}
	for _, c := range r.daemons {
		late := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
		_ = c.Wait()
		late.Stop()
	}
	r.endSteps()
}

// endSteps ends those who watched over jobs: they try for ever to tell a controller that
// is no more how their job ended. They are known by the log of their node.
func (r *rig) endSteps() {
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		to, err := os.Readlink(file)
		if err != nil || !strings.HasPrefix(to, filepath.Join(r.dir, "slurmd-")) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// ask runs a client and returns what it prints.
func (r *rig) ask(name string, args ...string) string {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+r.conf())
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	_ = c.Run() // what it says is looked at
	return strings.TrimSpace(out.String())
}

// awaits waits until something is so.
func (r *rig) awaits(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return
		}
	}
	log, _ := os.ReadFile(filepath.Join(r.dir, "slurmctld.log"))
	t.Fatalf("there were no %s: %s\n%.1500s", what, r.ask("squeue", "--states=all"), log)
}

// target is a target on the cluster; more are settings beside those that find it.
func (r *rig) target(t testing.TB, dir string, more map[string]any) target.Target {
	t.Helper()
	s := map[string]any{"shared_dir": dir, "conf": r.conf(), "nodes": 2}
	for name, value := range more {
		s[name] = value
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return target.Target{Name: "hpc", Kind: "slurm", Settings: text}
}
