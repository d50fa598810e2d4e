package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// sshd is a real SSH server on a port of this computer.
type sshd struct {
	t    *testing.T
	dir  string // with a key that opens all of the test's servers, id
	name string // 127.0.0.1:PORT
	cmd  *exec.Cmd
}

// servers starts SSH servers that share a key and a file of known hosts, or skips the test.
func servers(t *testing.T, n int) []*sshd {
	t.Helper()
	const program = "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("SKIP: there is no SSH server to log in to: apt-get install -y openssh-server")
	}
	if os.Getuid() == 0 { // where it leaves its rights
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	key(t, dir, "id")
	key(t, dir, "host")
	public, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*sshd
	var known strings.Builder
	for range n {
		s := &sshd{t: t, dir: dir}
		s.start(program)
		all = append(all, s)
		host, port, _ := net.SplitHostPort(s.name)
		fmt.Fprintf(&known, "[%s]:%s %s", host, port, public)
	}
	if err := os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(known.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return all
}

func key(t *testing.T, dir, name string) {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
		t.Fatalf("make a key: %v: %s", err, out)
	}
}

// start runs the server, on the port that it had before if it was stopped.
func (s *sshd) start(program string) {
	s.t.Helper()
	if s.name == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		s.name = l.Addr().String()
		l.Close()
	}
	_, port, _ := net.SplitHostPort(s.name)
	config := filepath.Join(s.dir, "config-"+port)
	text := strings.Join([]string{
		"Port " + port, "ListenAddress 127.0.0.1", "HostKey " + filepath.Join(s.dir, "host"), "PidFile none", "AuthorizedKeysFile " + filepath.Join(s.dir, "id.pub"),
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 100",
	}, "\n")
	if err := os.WriteFile(config, []byte(text+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(program, "-D", "-e", "-f", config)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.stop)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.name); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			s.t.Fatal("the SSH server does not listen")
		}
	}
}

// stop ends the server: who is connected stays connected, and nobody else gets in.
func (s *sshd) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// farm is a cluster on the servers, whose jobs are kept in workdir.
func farm(t *testing.T, all []*sshd, workdir, nodes string) target.Target {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	provider, err := json.Marshal(map[string]any{"kind": "ssh", "hosts": names, "user": me.Username, "identity_file": filepath.Join(all[0].dir, "id"), "known_hosts": filepath.Join(all[0].dir, "known_hosts"), "workdir": workdir})
	if err != nil {
		t.Fatal(err)
	}
	return training(fmt.Sprintf(`{"nodes": %s, "provider": %s}`, nodes, provider))
}

// skipped are questions that need not be asked here. Many are about what goes to a job and
// comes from it, which the driver of machines over SSH is asked in its own exam, and does
// here, too: AMLFLOW_EXAM=whole asks them all the same.
func skipped() map[string]string {
	all := map[string]string{"HintOfTheEnd": "nobody here hears of the end of a job on another machine"}
	if os.Getenv("AMLFLOW_EXAM") == "whole" {
		return all
	}
	for _, name := range []string{
		"LinksAreRefused", "LargeContentsAreStreamed", "LogResumesAtEveryOffset", "LogIsCutVisibly", "LogKeepsOrder", "LogIsStoredAsOne", "LogIsLive", "MetricsAreLive", "ValuesAndMetrics", "CodeIsACopy",
		"CodeIsDelivered", "OutputsOfTheWrongType", "MissingOutputsAreAbsent", "SecretsAreExact", "SecretsAreNotKept", "EnvironmentIsExact", "ExitCodes", "Signals", "CommandIsNotParsed", "UnknownCommand",
		"ScriptStopsAtFirstError", "OneRankIsAWorld", "RanksHaveTheirOwnFolder", "LaunchedRanksHaveTheirOwnFolder", "TorchFindsWhatTorchrunSets", "OneLaunchedRankFailsAll", "CheckpointsFollowNoLink", "NothingOutlivesTheJob", "CancelKillsAfterGrace",
	} {
		all[name] = "the driver of machines over SSH sits it: AMLFLOW_EXAM=whole asks it here, too"
	}
	return all
}

func TestExamOverSSH(t *testing.T) {
	two := servers(t, 2)
	links := New("", nil).ssh // greeting hosts anew for each question takes longer than the questions
	t.Cleanup(links.Close)
	targettest.Run(t, func(t *testing.T) targettest.Harness {
		home, dir, there := t.TempDir(), t.TempDir(), map[string]string{}
		for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"} {
			there[name] = "what the submitting shell has means nothing there"
		}
		d := New(home, nil)
		d.ssh = links
		t.Cleanup(d.flights.close) // nobody writes into a folder that is removed
		return targettest.Harness{
			Driver: d, Target: farm(t, two, dir, `{"max": 2}`), Host: there, Shared: t.TempDir(), Folder: dir, Local: true,
			Skip:  skipped(),
			Other: func(t *testing.T) target.Driver { o := New(home, nil); t.Cleanup(o.Close); return o },
		}
	})
}

// over is a rig whose nodes are servers.
func over(t *testing.T, all []*sshd, nodes string) *rig {
	t.Helper()
	r := &rig{t: t, d: New(t.TempDir(), nil), to: farm(t, all, t.TempDir(), nodes)}
	t.Cleanup(r.d.Close)
	t.Cleanup(r.endFar)
	return r
}

func (r *rig) endFar() {
	for _, id := range r.ids {
		_ = r.d.Cancel(context.Background(), r.to, id, target.CauseCancel)
	}
	for _, id := range r.ids {
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if st, err := r.d.Status(context.Background(), r.to, id); err != nil || st.State.Ended() {
				break
			}
		}
	}
}

// A host that does not answer is passed by. Two jobs share the one that does, one after the
// other, and it is given back.
func TestAHostThatDoesNotAnswerIsPassedBy(t *testing.T) {
	two := servers(t, 2)
	two[0].stop()
	r := over(t, two, `{"max": 1, "idle": "1s"}`)
	gate := filepath.Join(t.TempDir(), "gate")
	r.submit(r.job("first", "until [ -e "+gate+" ]; do sleep 0.02; done", 1))
	r.until("first", target.Running)
	r.submit(r.job("second", "true", 1))
	if st := r.status("second"); st.State != target.Waiting || !strings.Contains(st.Reason, "waiting for 1 of at most 1 nodes, of which 1 are busy") {
		t.Errorf("the second job: %+v", st)
	}
	host, err := r.d.place(r.to.Name).hostOf("n1")
	if err != nil || host != two[1].name {
		t.Errorf("node n1 is %q, %v", host, err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.until("first", target.Succeeded)
	r.until("second", target.Succeeded)
	r.becomes("no nodes", func(f target.Fleet) bool { return f.Ready+f.Creating+f.Leaving == 0 && f.NodeHours > 0 })
}

// Without any host that answers a job waits, says why, can be cancelled, and starts nowhere.
func TestNoHostAnswers(t *testing.T) {
	one := servers(t, 1)
	one[0].stop()
	r := over(t, one, `{"max": 1}`)
	r.submit(r.job("job", "true", 1))
	for end := time.Now().Add(30 * time.Second); !strings.Contains(r.status("job").Reason, one[0].name); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not say which host is away: %+v", r.status("job"))
		}
	}
	if err := r.d.Check(t.Context(), r.to); err == nil || !strings.Contains(err.Error(), "no host of target") {
		t.Errorf("check: %v", err)
	}
	r.cancel("job", target.CauseCancel)
	if st := r.status("job"); st.State != target.Cancelled {
		t.Errorf("cancelled: %+v", st)
	}
	one[0].start("/usr/sbin/sshd")
	r.submit(r.job("job", "true", 1))
	if st := r.status("job"); st.State != target.Cancelled {
		t.Errorf("submitted after it was cancelled: %+v", st)
	}
}

// The process that a job was submitted to dies at any step. The job starts once it is
// submitted again, on the hosts that it has, and once.
func TestAFarJobOutlivesItsSubmitter(t *testing.T) {
	two := servers(t, 2)
	r := over(t, two, `{"max": 2}`)
	starts := filepath.Join(t.TempDir(), "starts")
	j := r.job("job", "echo x >>"+starts, 2)
	j.Command = nil
	if err := r.d.over(t.Context(), r.to, func(p *pass) error { // as far as the queue
		p.confide(j.ID)
		p.cluster().Enqueue(j.ID, 2, 0, time.Now())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if st := r.status("job"); st.State != target.Waiting || !strings.Contains(st.Reason, "submitted again") {
		t.Errorf("nobody has it: %+v", st)
	}
	other := New(r.d.dir, nil)
	t.Cleanup(other.Close)
	other.memory.keepWork(j.ID, submitted{j, &targettest.Blobs{}})
	other.flights.under["start job"] = true // it dies when the job has been given its hosts
	for end := time.Now().Add(30 * time.Second); !r.d.isFar("job"); time.Sleep(5 * time.Millisecond) {
		if _, err := other.Status(t.Context(), r.to, "job"); err != nil || time.Now().After(end) {
			t.Fatal("it is given no hosts", err)
		}
	}
	if st := r.status("job"); st.State != target.Waiting {
		t.Errorf("its hosts know nothing of it: %+v", st)
	}
	for range 2 {
		r.submit(j)
	}
	r.until("job", target.Succeeded)
	if text, _ := os.ReadFile(starts); string(text) != "x\nx\n" {
		t.Errorf("two ranks have started %d times", len(text)/2)
	}
}

// Who removes the folder of a node takes it away, and its job is preempted.
func TestANodeOverSSHIsTakenAway(t *testing.T) {
	r := over(t, servers(t, 1), `{"max": 1}`)
	r.submit(r.job("job", forever, 1))
	r.until("job", target.Running)
	if err := os.RemoveAll(filepath.Join(r.d.place(r.to.Name).nodes(), "n1")); err != nil {
		t.Fatal(err)
	}
	r.becomes("a job that is told", func(target.Fleet) bool { st, _ := r.d.Status(t.Context(), r.to, "job"); return st.State.Ended() })
	if st := r.status("job"); st.State != target.Failed || st.Cause != target.CausePreempted {
		t.Errorf("got %+v", st)
	}
}
