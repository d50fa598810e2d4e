package docker

import (
	"archive/tar"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// scratch is an image with one static program and nothing else.
const scratch = "localhost/amlflow-scratch:1"

// program is a job as people write them who want no image around it.
const program = `package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "work":
		in, err := os.ReadFile(os.Getenv("AMLFLOW_INPUT_DATA"))
		write("AMLFLOW_OUTPUT_UPPER", strings.ToUpper(string(in)))
		write("AMLFLOW_OUTPUTS", "{\"n\": 3}")
		write("AMLFLOW_METRICS", "{\"loss\": 1}\n")
		wd, _ := os.Getwd()
		code, _ := os.ReadFile("file")
		tmp := os.WriteFile(os.TempDir()+"/x", nil, 0o600)
		fmt.Printf("%s %v %s %s %v %v\n", os.Getenv("X"), err, wd, code, tmp, os.WriteFile("/outside", nil, 0o600) != nil)
	case "exit":
		os.Exit(255)
	case "log":
		for range 3 {
			os.Stdout.Write([]byte("a\xff\n"))
			time.Sleep(10 * time.Millisecond)
		}
		io.WriteString(os.Stdout, "last")
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "wait":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("on")
		<-signals
		fmt.Println("saved")
	case "hang":
		fmt.Println("on")
		time.Sleep(time.Minute)
	}
}

func write(name, text string) {
	if err := os.WriteFile(os.Getenv(name), []byte(text), 0o600); err != nil {
		fmt.Println(err)
	}
}
`

// giveScratch builds the program and makes the image.
func giveScratch(t *testing.T, r rig) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "build", "-o", filepath.Join(dir, "job"), filepath.Join(dir, "main.go"))
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build the job: %v\n%s", err, out)
	}
	binary, err := os.ReadFile(filepath.Join(dir, "job"))
	if err != nil {
		t.Fatal(err)
	}
	fill := func(w *tar.Writer) error { return addFile(w, "/job", 0o755, binary) }
	if err := r.engine.Import(scratch, fill, `CMD ["none", "of", "this"]`); err != nil {
		t.Fatal(err)
	}
}

func TestImageWithoutShellOnPodman(t *testing.T) { withoutShell(t, onPodman(t)) }

func TestImageWithoutShellOnDocker(t *testing.T) { withoutShell(t, onDocker(t)) }

func withoutShell(t *testing.T, r rig) {
	giveScratch(t, r)
	x := newTable(t, r, map[string]any{"image": scratch, "memory": "64Mi", "pids": 64})
	in := &targettest.Blobs{}
	code, err := target.PutTree(t.Context(), in, folderOf(t, "file", "mine"), nil)
	if err != nil {
		t.Fatal(err)
	}

	j := target.Job{
		ID: "work", Command: []string{"/job", "work"}, Env: map[string]string{"X": "größe\n'\"$HOME"}, Code: code,
		Inputs:  []target.Artifact{{Name: "data", Type: target.File, Ref: in.Add(t, "abc")}},
		Outputs: []target.Artifact{{Name: "upper", Type: target.File}},
	}
	x.submit(j, in)
	if st := x.wait("work"); st.State != target.Succeeded {
		t.Fatalf("got %+v, log %q", st, x.log("work"))
	}
	if got, want := x.log("work"), "größe\n'\"$HOME <nil> /amlflow/code mine <nil> true\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out := &targettest.Blobs{}
	res, err := x.d.Collect(t.Context(), x.t, "work", out)
	if err != nil || out.Text(res.Artifacts["upper"]) != "ABC" || string(res.Values) != `{"n": 3}` || string(res.Metrics) != "{\"loss\": 1}\n" {
		t.Errorf("collected %+v, %v", res, err)
	}

	for id, want := range map[string]target.Status{
		"exit":   {State: target.Failed, Cause: target.CauseExit, Exit: 255},
		"killed": {State: target.Failed, Cause: target.CauseSignal, Exit: 137, Signal: 9},
		"log":    {State: target.Succeeded},
	} {
		x.submit(target.Job{ID: id, Command: []string{"/job", id}}, in)
		if st := x.wait(id); st.State != want.State || st.Cause != want.Cause || st.Exit != want.Exit || st.Signal != want.Signal {
			t.Errorf("%s: got %+v", id, st)
		}
	}
	const text = "a\xff\na\xff\na\xff\nlast"
	for from := range len(text) + 1 {
		if got, n := x.read("log", int64(from)); got != text[from:] || n != int64(len(text)) {
			t.Errorf("from %d: got %q up to %d", from, got, n)
		}
	}

	x.submit(target.Job{ID: "wait", Command: []string{"/job", "wait"}, Grace: 10 * time.Second}, in)
	x.logHas("wait", "on\n")
	x.cancel("wait")
	if st := x.wait("wait"); st.State != target.Cancelled || x.log("wait") != "on\nsaved\n" {
		t.Errorf("got %+v, log %q", st, x.log("wait"))
	}
	// Go's programs end by TERM without a handler, if they are not process 1.
	x.submit(target.Job{ID: "hang", Command: []string{"/job", "hang"}, Grace: 10 * time.Second, Timeout: time.Second}, in)
	if st := x.wait("hang"); st.Cause != target.CauseTimeout || st.Signal != 15 {
		t.Errorf("got %+v", st)
	}
	err = x.d.Submit(t.Context(), x.t, target.Job{ID: "absent", Command: []string{"/nothing"}}, in)
	if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `"/nothing" was not found in the image`) {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnImageWithoutShellCannot(t *testing.T) {
	r := onPodman(t)
	giveScratch(t, r)
	x := newTable(t, r, map[string]any{"image": scratch})
	for id, c := range map[string]struct {
		job  target.Job
		want string
	}{
		"script": {target.Job{Script: "echo"}, "say `command` in place of `run`"},
		"secret": {target.Job{Command: []string{"/job", "hang"}, Secrets: map[string]string{"X": "hidden"}}, "use an image with a shell"},
		"bytes":  {target.Job{Command: []string{"/job", "hang"}, Env: map[string]string{"X": "\xff"}}, `"X" is no text`},
	} {
		c.job.ID = id
		err := x.d.Submit(t.Context(), x.t, c.job, &targettest.Blobs{})
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", id, err, c.want)
		}
		if left := r.left(t); len(left) > 0 {
			t.Errorf("%s left %q", id, left)
		}
	}
}
