package local

import (
	"context"
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

// withoutVenv says why the exam cannot ask for Python environments here, if so.
func withoutVenv() map[string]string {
	if exec.Command("python3", "-c", "import venv, ensurepip").Run() == nil {
		return nil
	}
	return map[string]string{"PythonEnvironmentsMatchCan": "no python3 that makes environments: apt-get install -y python3 python3-venv"}
}

// slowPython makes no environment until a file is gone, and then says why it cannot.
const slowPython = `#!/bin/sh
case "$*" in
*"-c import os"*) printf 'cpython\n3.11.2\nfake\nlinux-x86_64\n%s\n' "$0" ;;
*) while [ -e "${0%/*}/hold" ]; do sleep 0.01; done
   echo "The virtual environment was not created successfully because ensurepip is not"
   echo "available.  On Debian/Ubuntu systems, you need to install the python3-venv"
   exit 1 ;;
esac
`

func TestAJobSaysThatItWaitsForItsEnvironment(t *testing.T) {
	bin := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(bin, "python3"), []byte(slowPython), 0o755), os.WriteFile(filepath.Join(bin, "hold"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	d := Driver{Dir: t.TempDir()}
	job := target.Job{ID: "j", Script: "true", Host: map[string]string{"PATH": bin + ":/usr/bin:/bin"},
		Environment: &target.Environment{Python: &target.Python{Packages: []string{"numpy==2.1.0", "scikit-learn"}}}}
	submit := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() { done <- d.Submit(ctx, local(""), job, &targettest.Blobs{}) }()
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	given := submit(ctx)
	awaitReason(t, d, "waiting for its Python environment (numpy, scikit-learn)")
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	awaitReason(t, d, "")
	again := submit(t.Context())
	awaitReason(t, d, "waiting for its Python environment (numpy, scikit-learn)")
	if err := os.Remove(filepath.Join(bin, "hold")); err != nil {
		t.Fatal(err)
	}
	err := <-again
	if want := `prepare job "j": the Python environment (numpy, scikit-learn) cannot be made with Python 3.11.2 (`; !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "apt install python3-venv") {
		t.Errorf("got %v", err)
	}
	awaitReason(t, d, "")
}

// awaitReason waits until the job j, which does not run yet, says this.
func awaitReason(t *testing.T, d Driver, want string) {
	t.Helper()
	var st target.Status
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		var err error
		if st, err = d.Status(t.Context(), local(""), "j"); err != nil {
			t.Fatal(err)
		}
		if st.Reason == want && st.State == target.Waiting {
			return
		}
	}
	t.Fatalf("got %+v, want %q", st, want)
}

func TestADeploymentIsRefusedAnImage(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	wish := target.Deployment{ID: "d1", Endpoint: "m", Script: "exec server", Environment: &target.Environment{Image: "example/none:1"}}
	if err := d.Deploy(t.Context(), local(""), wish, nil); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `target "here" runs no container images`) {
		t.Errorf("got %v", err)
	}
}
