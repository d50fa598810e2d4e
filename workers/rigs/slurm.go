package rigs

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Slurm is a Slurm of one node, this computer.
type Slurm struct {
	Conf    string // its slurm.conf
	dir     string
	daemons []*exec.Cmd
}

// Slurmctld starts a Slurm that keeps its files in the folder dir, and is configured like
// those of the tests of its driver: template is the text of their slurm.conf.
func Slurmctld(dir, template string) (*Slurm, error) {
	if err := need("apt-get install -y --no-install-recommends slurmctld slurmd slurm-client", "slurmctld", "slurmd", "sbatch", "sinfo"); err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	host, _, _ = strings.Cut(host, ".")
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &Slurm{Conf: filepath.Join(dir, "slurm.conf"), dir: dir}
	conf := strings.NewReplacer("{{host}}", host, "{{port}}", ports[0], "{{user}}", me.Username, "{{dir}}", dir, "{{slurmd_timeout}}", "30").Replace(template)
	conf += fmt.Sprintf("NodeName=n1 NodeHostname=%s NodeAddr=127.0.0.1 Port=%s CPUs=64 Boards=1 SocketsPerBoard=1 CoresPerSocket=64 ThreadsPerCore=1 RealMemory=65536 State=UNKNOWN\n", host, ports[1])
	conf += "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
	for name, text := range map[string]string{
		"slurm.conf": conf,
		// slurmd loads a cgroup plugin whatever it is told; with an empty folder it does nothing.
		"cgroup.conf": "CgroupPlugin=cgroup/v1\nCgroupMountpoint=" + dir + "/cgroup\nCgroupAutomount=no\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"state", "cgroup"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return nil, err
		}
	}
	for _, argv := range [][]string{{"slurmctld", "-c", "-D"}, {"slurmd", "-D", "-N", "n1"}} {
		c := exec.Command(Program(argv[0]), argv[1:]...)
		c.Env = append(os.Environ(), "SLURM_CONF="+s.Conf)
		if err := c.Start(); err != nil {
			s.End()
			return nil, err
		}
		s.daemons = append(s.daemons, c)
	}
	if !awaits(func() bool { return strings.Contains(s.ask("sinfo", "-h", "-N", "-o", "%T"), "idle") }) {
		said, _ := os.ReadFile(filepath.Join(dir, "slurmctld.log"))
		s.End()
		return nil, fmt.Errorf("Slurm has no idle node: %.3000s", said)
	}
	return s, nil
}

// ask runs a client and returns what it prints.
func (s *Slurm) ask(name string, args ...string) string {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SLURM_CONF="+s.Conf)
	out, _ := c.CombinedOutput()
	return strings.TrimSpace(string(out))
}

// End ends the daemons, and those who watched over jobs: they would try for ever to tell
// a controller that is no more how their job ended. They are known by the log of the node.
func (s *Slurm) End() {
	for _, c := range s.daemons {
		end(c)
	}
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
