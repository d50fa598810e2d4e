package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what scripts print into them")

// TestScripts runs testdata/script: each is a person at a shell, with a state
// folder and a background server of its own.
func TestScripts(t *testing.T) {
	dir, files := "testdata/script", []string(nil)
	if !cluster.Available { // what the slim build can do by itself
		dir = ""
		for _, name := range []string{"slim", "validate", "plan", "test", "address", "files", "fmt", "graph", "diff", "report", "template", "target"} {
			files = append(files, filepath.Join("testdata", "script", name+".txtar"))
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, Files: files, WorkdirRoot: t.TempDir(), Setup: ownState, UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "python3":
				_, err := exec.LookPath("python3")
				return err == nil, nil
			case "git":
				_, err := exec.LookPath("git")
				return err == nil, nil
			case "pip": // it makes environments, and reaches an index with what the example pins
				return exec.Command("python3", "-c", "import venv, ensurepip, sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))").Run() == nil &&
					exec.Command("python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", t.TempDir(), "six==1.16.0").Run() == nil, nil
			case "mlflow":
				return withMLflow() != "", nil
			case "openapi":
				return withOpenAPI() != "", nil
			case "sshd":
				return withSSHD(), nil
			case "podman":
				return withPodman(), nil
			case "slim":
				return !cluster.Available, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": exitCode, "json": jsonAt, "await": await, "grow": grow, "killserver": killServer, "killtracking": killTracking, "interrupt": interruptBackground, "busyport": busyPort,
			"sshd": startSSHD, "podman": startPodman,
		},
	})
}

// ownState gives a script its own state folder, and ends what it left behind.
func ownState(e *testscript.Env) error {
	examples, err := filepath.Abs("../../specs/examples")
	if err != nil {
		return err
	}
	home := filepath.Join(e.WorkDir, ".amlflow", "state")
	e.Setenv("AMLFLOW_HOME", home)
	e.Setenv("AMLFLOW_IDLE", "30s")
	e.Setenv("EXAMPLES", examples)
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("MLFLOW", withMLflow())
	e.Setenv("OPENAPI", withOpenAPI())
	e.Defer(func() { leaveNothing(e.T(), home) })
	return nil
}

// leaveNothing ends every process that belongs to a state folder. They are known
// by their environment: all of them have a path below it there.
func leaveNothing(t interface{ Fatal(args ...any) }, home string) {
	for until := time.Now().Add(20 * time.Second); ; {
		pids := processesOf(home)
		if len(pids) == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("processes do not end:", pids, home)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond) // until the kernel has removed them
	}
}

func processesOf(home string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(env, []byte(home)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// exitCode runs a command and wants exactly this code: code 3 amlflow run FILE.
// What it prints is found in the files out and err.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [arg…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := lookPath(ts.Getenv("PATH"), args[1])
	ts.Check(err)
	c := exec.Command(path, args[2:]...)
	c.Args[0], c.Dir, c.Env = args[1], ts.MkAbs("."), environ(ts)
	var out, words bytes.Buffer
	c.Stdout, c.Stderr = &out, &words
	err = c.Run()
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), words.Bytes(), 0o600))
	ts.Logf("[out]\n%s[err]\n%s", out.String(), words.String())
	if c.ProcessState == nil {
		ts.Fatalf("%v", err)
	}
	if got := c.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// environ is the environment of the script: what it set, and nothing of the CI that
// the tests may run in.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "WORK", "TMPDIR", "AMLFLOW_HOME", "AMLFLOW_IDLE", "AMLFLOW_GATEWAY_PORT", "AMLFLOW_ADDRESS", "AMLFLOW_API_KEY", "NO_COLOR", "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "TF_BUILD", "GITLAB_CI", "CI"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func lookPath(path, name string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("%q is not in PATH", name)
}

// jsonAt compares one value of a file of JSON: json out stages.train.exit 0. The
// value "?" wants that there is one and it is not null; "-" that it is null.
func jsonAt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH VALUE")
	}
	var v any
	text := ts.ReadFile(args[0])
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		ts.Fatalf("%s is not JSON: %v\n%s", args[0], err, text)
	}
	for step := range strings.SplitSeq(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			got, ok := x[step]
			if !ok {
				ts.Fatalf("%s has no %q in\n%s", args[1], step, text)
			}
			v = got
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s has no %q in\n%s", args[1], step, text)
			}
			v = x[i]
		default:
			ts.Fatalf("%s: nothing below %q in\n%s", args[1], step, text)
		}
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	got := strings.Trim(string(b), `"`)
	same := got == args[2] || args[2] == "?" && v != nil || args[2] == "-" && v == nil
	if same == neg {
		ts.Fatalf("%s is %s, want %s", args[1], got, args[2])
	}
}

// patience bounds every wait of a script. It is long, for slow machines, and
// nothing is measured by it.
const patience = 90 * time.Second

// await waits for files, or for a pattern in what a command prints:
// await FILE…  or  await -out TEXT command [arg…]
func await(ts *testscript.TestScript, neg bool, args []string) {
	until := time.Now().Add(patience)
	for !arrived(ts, args) {
		if time.Now().After(until) {
			ts.Fatalf("nothing came of: await %v", args)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func arrived(ts *testscript.TestScript, args []string) bool {
	if args[0] != "-out" {
		for _, f := range args {
			if info, err := os.Stat(ts.MkAbs(f)); err != nil || info.Size() == 0 {
				return false
			}
		}
		return true
	}
	path, err := lookPath(ts.Getenv("PATH"), args[2])
	ts.Check(err)
	c := exec.Command(path, args[3:]...)
	c.Args[0], c.Dir, c.Env = args[2], ts.MkAbs("."), environ(ts)
	out, _ := c.Output()
	return strings.Contains(string(out), args[1])
}

// grow wants a file to have this many lines: what jobs count in.
func grow(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, want %d", args[0], got, want)
	}
}

// killServer ends the background server as a crash would.
func killServer(ts *testscript.TestScript, neg bool, args []string) {
	path, err := lookPath(ts.Getenv("PATH"), "amlflow")
	ts.Check(err)
	c := exec.Command(path, "server", "status", "-o", "json")
	c.Env = environ(ts)
	out, err := c.Output()
	ts.Check(err)
	var s struct{ PID int }
	ts.Check(json.Unmarshal(out, &s))
	ts.Check(syscall.Kill(s.PID, syscall.SIGKILL))
}

// interruptBackground sends SIGINT to every background command.
func interruptBackground(ts *testscript.TestScript, neg bool, args []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(os.Interrupt))
	}
}

// busyPort takes a port of this computer for the rest of the script, and sets a
// variable to its number.
func busyPort(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
