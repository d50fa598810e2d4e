package rigs

import (
	"cmp"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Slurm is a real Slurm on this computer: a controller, and nodes n1, n2….
type Slurm struct {
	dir     string
	daemons map[string]*exec.Cmd // by name: slurmctld, n1…
}

// SlurmOptions are what a test wants to be different.
type SlurmOptions struct {
	Nodes   int      // 2 when zero; each has two GPUs
	CPUs    int      // of each node; 64 when zero
	Silence int      // how many seconds a node may be silent before it has failed; 30 when zero
	Extra   []string // lines of the configuration
}

//go:embed slurm.conf
var slurmConf string

// StartSlurm starts a Slurm that keeps its files in the folder dir, and waits for its nodes.
// Three partitions hold all of them: all, which is the usual one; short, for a minute;
// first, whose jobs take the places of others.
func StartSlurm(dir string, o SlurmOptions) (*Slurm, error) {
	if err := need("apt-get install -y --no-install-recommends slurmctld slurmd slurm-client", "slurmctld", "slurmd", "sbatch", "sinfo"); err != nil {
		return nil, err
	}
	o = o.whole()
	s := &Slurm{dir: dir, daemons: map[string]*exec.Cmd{}}
	if err := s.configure(o); err != nil {
		return nil, err
	}
	if err := s.Start("slurmctld", "-c"); err != nil {
		return nil, err
	}
	for n := range o.Nodes {
		if err := s.Start(nodeName(n)); err != nil {
			s.End()
			return nil, err
		}
	}
	idle := func() bool {
		return strings.Count(s.Ask("sinfo", "-h", "-N", "-p", "all", "-o", "%T"), "idle") == o.Nodes
	}
	if !Awaits(idle) {
		said := s.Log()
		s.End()
		return nil, fmt.Errorf("Slurm has no idle nodes: %s", said)
	}
	return s, nil
}

func (o SlurmOptions) whole() SlurmOptions {
	o.Nodes, o.CPUs, o.Silence = cmp.Or(o.Nodes, 2), cmp.Or(o.CPUs, 64), cmp.Or(o.Silence, 30)
	return o
}

func nodeName(n int) string { return fmt.Sprintf("n%d", n+1) }

// Conf is its slurm.conf.
func (s *Slurm) Conf() string { return filepath.Join(s.dir, "slurm.conf") }

func (s *Slurm) configure(o SlurmOptions) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	host, _, _ = strings.Cut(host, ".")
	ports, err := FreePorts(o.Nodes + 1)
	if err != nil {
		return err
	}
	conf := strings.NewReplacer("{{host}}", host, "{{port}}", ports[0], "{{user}}", me.Username, "{{dir}}", s.dir, "{{slurmd_timeout}}", strconv.Itoa(o.Silence)).Replace(slurmConf)
	for n := range o.Nodes {
		conf += fmt.Sprintf("NodeName=%s NodeHostname=%s NodeAddr=127.0.0.1 Port=%s CPUs=%d Boards=1 SocketsPerBoard=1 CoresPerSocket=%[4]d ThreadsPerCore=1 RealMemory=65536 Gres=gpu:2 State=UNKNOWN\n",
			nodeName(n), host, ports[n+1], o.CPUs)
	}
	conf += strings.Join(append([]string{
		"PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=10 State=UP",
		"PartitionName=short Nodes=ALL MaxTime=1 PriorityTier=10 State=UP",
		"PartitionName=first Nodes=ALL MaxTime=INFINITE PriorityTier=100 State=UP",
	}, o.Extra...), "\n") + "\n"
	for name, text := range map[string]string{
		"slurm.conf": conf,
		// Any character devices will do.
		"gres.conf": "Name=gpu File=/dev/zero\nName=gpu File=/dev/full\n",
		// slurmd loads a cgroup plugin whatever it is told; with an empty folder it does nothing.
		"cgroup.conf": "CgroupPlugin=cgroup/v1\nCgroupMountpoint=" + s.dir + "/cgroup\nCgroupAutomount=no\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"state", "cgroup"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Start starts a daemon: slurmctld, or a node by its name.
func (s *Slurm) Start(name string, args ...string) error {
	which, args := "slurmd", append(args, "-D")
	if name == "slurmctld" {
		which = name
	} else {
		args = append(args, "-N", name)
	}
	c := exec.Command(Program(which), args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+s.Conf())
	out, err := os.Create(filepath.Join(s.dir, name+".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		return err
	}
	s.daemons[name] = c
	return nil
}

// Kill ends a daemon without a word.
func (s *Slurm) Kill(name string) {
	_ = s.daemons[name].Process.Kill()
	_ = s.daemons[name].Wait()
	delete(s.daemons, name)
}

// Stop has a daemon end, which writes down what it knows.
func (s *Slurm) Stop(name string) {
	end(s.daemons[name])
	delete(s.daemons, name)
}

// Ask runs a client and returns what it prints, on whatever side.
func (s *Slurm) Ask(name string, args ...string) string {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+s.Conf())
	out, _ := c.CombinedOutput() // what it says is looked at
	return strings.TrimSpace(string(out))
}

// Log is the beginning of what the controller has to say.
func (s *Slurm) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "slurmctld.log"))
	return fmt.Sprintf("%.3000s", text)
}

// End ends all jobs, then the daemons.
func (s *Slurm) End() {
	if s.daemons["slurmctld"] != nil {
		me := "--user=" + s.Ask("id", "-un")
		s.Ask("scancel", "--full", "--signal=KILL", me)
		s.Ask("scancel", me)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && s.Ask("squeue", "-h") != ""; time.Sleep(50 * time.Millisecond) {
		}
	}
	for _, c := range s.daemons {
		_ = c.Process.Signal(syscall.SIGTERM) // to all, before any is waited for
	}
	for _, c := range s.daemons {
		end(c)
	}
	s.endSteps()
}

// endSteps ends those who watched over jobs: they try for ever to tell a controller that
// is no more how their job ended. They are known by the log of their node.
func (s *Slurm) endSteps() {
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		to, err := os.Readlink(file)
		if err != nil || !strings.HasPrefix(to, filepath.Join(s.dir, "slurmd-")) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
