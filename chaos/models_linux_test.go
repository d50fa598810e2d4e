package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// registering is a pipeline whose stages make a model: one as an output, the other through
// the tracking API, with what the client of MLflow would send.
const registering = `amlflow: v1
pipeline: p
params: { name: { type: string } }
stages:
  output:
    run: |
      mkdir -p "$AMLFLOW_OUTPUT_MODEL"
      echo weights >"$AMLFLOW_OUTPUT_MODEL/weights.txt"
      echo "$AMLFLOW_JOB" >>'%[1]s'
    outputs: { model: model }
    register: { model: "${{ params.name }}.output" }
  logged:
    run: |
      python3 register.py ${{ params.name }}.logged
      echo "$AMLFLOW_JOB" >>'%[1]s'
`

const registeringScript = `import json, os, sys, urllib.request
url, token = os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_TRACKING_TOKEN"]
def ask(method, path, body):
    q = urllib.request.Request(url + "/api/2.0/" + path, body, {"Authorization": "Bearer " + token}, method=method)
    return json.load(urllib.request.urlopen(q))
def tell(path, **what):
    return ask("POST", "mlflow/" + path, json.dumps(what).encode())
run = tell("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
ask("PUT", "mlflow-artifacts/artifacts/runs/" + run + "/model/weights.txt", b"weights\n")
tell("registered-models/create", name=sys.argv[1])
tell("model-versions/create", name=sys.argv[1], source="runs:/" + run + "/model", run_id=run)
`

// modelVersion is the newest version of a model, as it is told.
type modelVersion struct {
	Version int
	Origins []struct{ Job string }
}

// The server is killed after a job has ended and before its model is registered, and between
// the two files of which a version consists. The model is there once, made once, by a job that
// started once.
func TestServerKilledWhileModelsAreRegistered(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: python3 is not installed: apt-get install python3")
	}
	u, most := newUser(t), 1
	if *all {
		most = 4
	}
	told := filepath.Join(u.root, "told")
	u.write("p.pipeline.yaml", fmt.Sprintf(registering, told))
	u.write("register.py", registeringScript)
	models := filepath.Join(u.home, "store", "models")
	u.does("run", "p.pipeline.yaml", "-p", "name=before")
	for _, c := range []struct {
		name string
		// block makes the registration of a model stop at some point, and returns what says
		// that it has come there, and what lets another one pass.
		block func(dir string) (there func() bool, free func())
	}{
		{"early", u.locked},
		{"between", func(dir string) (func() bool, func()) {
			return u.unmarked(dir, filepath.Join(models, "before."+filepath.Ext(dir)[1:]))
		}},
	} {
		var there []func() bool
		var free []func()
		for _, stage := range []string{"output", "logged"} {
			dir := filepath.Join(models, c.name+"."+stage)
			u.must(os.MkdirAll(filepath.Join(dir, "by"), 0o700))
			t, f := c.block(dir)
			there, free = append(there, t), append(free, f)
		}
		run := parse[struct{ Run string }](u, u.does("run", "p.pipeline.yaml", "-p", "name="+c.name, "--detach", "-o", "json")).Run
		for kills := range most {
			for _, is := range there {
				u.until("the models are being registered", is)
			}
			u.killServer()
			if kills == most-1 {
				for _, f := range free {
					f()
				}
			}
			u.does("server", "start")
		}
		u.does("wait", run)
		for _, stage := range []string{"output", "logged"} {
			name := c.name + "." + stage
			newest := parse[modelVersion](u, u.does("model", "show", name, "-o", "json"))
			if newest.Version != 1 || len(newest.Origins) != 1 || newest.Origins[0].Job != run+"."+stage+".1" {
				u.Errorf("of the model %s there is %+v", name, newest)
			}
		}
	}
	text, err := os.ReadFile(told)
	u.must(err)
	jobs := strings.Fields(string(text))
	seen := map[string]bool{}
	for _, job := range jobs {
		if seen[job] {
			u.Errorf("the job %s started twice", job)
		}
		seen[job] = true
	}
	if len(jobs) != 6 {
		u.Errorf("these jobs ran: %v", jobs)
	}
}

// locked holds the lock of a model, so that nobody registers a version of it.
func (u *user) locked(dir string) (there func() bool, free func()) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	u.must(err)
	u.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	u.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	u.must(err)
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	waits := func() bool {
		locks, _ := os.ReadFile("/proc/locks")
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
				return true
			}
		}
		return false
	}
	return waits, func() { f.Close() }
}

// unmarked has whoever registers a version stop after it has written it, and before it leaves
// the mark by which its content is found again. The content is that of a model of before.
func (u *user) unmarked(dir, before string) (there func() bool, free func()) {
	marks, err := os.ReadDir(filepath.Join(before, "by"))
	u.must(err)
	pipe := filepath.Join(dir, "by", marks[0].Name()+".tmp")
	u.must(syscall.Mkfifo(pipe, 0o600)) // it is opened for writing, and nobody reads
	free = func() {
		u.must(os.Remove(pipe))
	}
	return func() bool {
		_, err := os.Stat(filepath.Join(dir, "00000001.json"))
		return err == nil
	}, free
}
