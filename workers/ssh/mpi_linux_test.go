package ssh

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"golang.org/x/crypto/ssh/knownhosts"
)

// startFar starts an SSH server that opens to the key of r, in a network and under a name of
// its own, so that mpirun takes it for another machine. It returns its address.
func (r *rig) startFar(t *testing.T) string {
	t.Helper()
	name, ip := fmt.Sprintf("far%d", os.Getpid()), fmt.Sprintf("10.%d.%d", 100+os.Getpid()%100, os.Getpid()/100%250)
	if words, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("SKIP: a host in a network of its own needs root, and ip: apt-get install -y iproute2: %v %s", err, words)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	near, far := fmt.Sprintf("mpi%da", os.Getpid()), fmt.Sprintf("mpi%db", os.Getpid())
	for _, args := range [][]string{
		{"link", "add", near, "type", "veth", "peer", "name", far, "netns", name},
		{"addr", "add", ip + ".1/30", "dev", near}, {"link", "set", near, "up"},
		{"-n", name, "addr", "add", ip + ".2/30", "dev", far}, {"-n", name, "link", "set", far, "up"}, {"-n", name, "link", "set", "lo", "up"},
	} {
		if words, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Skipf("SKIP: a host in a network of its own needs root, and ip: apt-get install -y iproute2: ip %v: %v %s", args, err, words)
		}
	}
	r.write(t, "far", strings.Join([]string{
		"ListenAddress " + ip + ".2:22", "HostKey " + r.path("host"), "PidFile none", "AuthorizedKeysFile " + r.path("authorized_keys"), "StrictModes no", "UsePAM no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100",
	}, "\n")+"\n")
	c := exec.Command("ip", "netns", "exec", name, "unshare", "-u", "sh", "-c", `hostname far && exec "$@"`, "sh", "/usr/sbin/sshd", "-D", "-e", "-f", r.path("far"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	r.write(t, "known_hosts", r.read(t, "known_hosts")+knownhosts.Line([]string{ip + ".2"}, r.key)+"\n")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", ip+".2:22"); err == nil {
			conn.Close()
			return ip + ".2"
		}
	}
	t.Fatal("the SSH server does not listen")
	return ""
}

// A real mpirun on the first host starts its processes on both. Where it cannot, this is said
// before the job starts.
func TestMpirunOverHosts(t *testing.T) {
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("SKIP: there is no mpirun: apt-get install -y openmpi-bin")
	}
	r := startServer(t)
	far, dir, d := r.startFar(t), workdir(t), driver(t)
	d.listed = true // the first host is the first
	b := bench{rig: r, dir: dir, t: r.target(t, dir, map[string]any{"host": nil, "hosts": []string{r.address(), far}})}
	out := t.TempDir()
	job := func(id, agent string) target.Job {
		j := target.Job{ID: id, Script: `mpirun -np $WORLD_SIZE -x OUT sh -c 'echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on $(uname -n) >"$OUT/$OMPI_COMM_WORLD_RANK"; pwd >>"$OUT/pwd"'`}
		j.Needs.Nodes, j.Launch = 2, &target.Launch{Kind: target.LaunchMPI, Processes: 2}
		j.Env = map[string]string{"OUT": out, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm_rsh_agent": agent}
		return j
	}
	agent := fmt.Sprintf("ssh -F none -i %s -o UserKnownHostsFile=%s", r.path("id"), r.path("known_hosts"))

	r.makeKey(t, "stranger", "") // nobody knows it
	if err := os.WriteFile(r.path("elsewhere"), []byte("#!/bin/sh\necho blind\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for agent, want := range map[string]string{
		fmt.Sprintf("ssh -F none -o IdentitiesOnly=yes -i %s -o UserKnownHostsFile=%s", r.path("stranger"), r.path("known_hosts")): "Permission denied",
		"ssh -F none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null":                                                 "Host key verification failed",
		r.path("elsewhere"): "does not see the folder of the job",
		"no-such-agent -x":  `mpirun logs in to other hosts with "no-such-agent", and there is no such program`,
	} {
		err := d.Submit(t.Context(), b.t, job("refused", agent), &targettest.Blobs{})
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, target.ErrPermanent) || !errors.Is(err, target.ErrUntouched) {
			t.Errorf("%s: got %v", agent, err)
		}
	}
	if files, _ := os.ReadDir(out); len(files) > 0 {
		t.Error("a job that was refused has run")
	}

	if err := d.Submit(t.Context(), b.t, job("mpi", agent), &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	if st := b.until(t, d, "mpi", ended); st.State != target.Succeeded {
		t.Fatalf("got %+v, log:\n%s", st, b.log(t, d, "mpi"))
	}
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rank := range 4 {
		text, err := os.ReadFile(filepath.Join(out, fmt.Sprint(rank)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(string(text)))
	}
	if want := []string{"0 of 4 on " + here, "1 of 4 on " + here, "2 of 4 on far", "3 of 4 on far"}; !slices.Equal(got, want) {
		t.Errorf("the processes were %q, want %q; log:\n%s", got, want, b.log(t, d, "mpi"))
	}
	text, _ := os.ReadFile(filepath.Join(out, "pwd"))
	if lines := strings.Fields(string(text)); len(lines) != 4 || slices.Max(lines) != slices.Min(lines) || !strings.HasSuffix(lines[0], "/code") {
		t.Errorf("they began in %q", lines)
	}
}
