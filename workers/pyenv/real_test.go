package pyenv

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
)

// realHost is the shell of the test, when it has a python that makes environments.
func realHost(t *testing.T) map[string]string {
	t.Helper()
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("SKIP: no python3 that makes environments: apt-get install -y python3 python3-venv (%v)", err)
	}
	return map[string]string{"PATH": os.Getenv("PATH"), "HOME": t.TempDir()}
}

// needIndex skips a test, aloud, where pip reaches no package index.
func needIndex(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", t.TempDir(), "six==1.16.0")
	if said, err := c.CombinedOutput(); err != nil {
		t.Skipf("SKIP: pip reaches no package index, and this test installs from it (%v: %s)", err, said)
	}
}

func python(t *testing.T, venv, code string) string {
	t.Helper()
	text, err := exec.Command(filepath.Join(venv, "bin", "python3"), "-c", code).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", code, err, text)
	}
	return strings.TrimSpace(string(text))
}

func TestARealEnvironment(t *testing.T) {
	t.Parallel()
	host := realHost(t)
	envs := Folder(filepath.Join(t.TempDir(), "a folder", "envs"))
	venv, err := envs.Make(t.Context(), target.Python{}, host)
	if err != nil {
		t.Fatal(err)
	}
	if got := python(t, venv, "import sys; print(sys.prefix, sys.prefix != sys.base_prefix)"); got != venv+" True" {
		t.Errorf("got %s", got)
	}
}

func TestAPackageFromTheIndex(t *testing.T) {
	host := realHost(t)
	needIndex(t)
	envs := Folder(filepath.Join(t.TempDir(), "envs"))
	p := target.Python{Requirements: "# the only one\nsix==1.16.0 \\\n  --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\n"}
	venv, err := envs.Make(t.Context(), p, host)
	if err != nil {
		t.Fatal(err)
	}
	if got := python(t, venv, "import six; print(six.__version__)"); got != "1.16.0" {
		t.Errorf("got %s", got)
	}
	// Nothing is asked for the second time.
	for name, value := range map[string]string{"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1", "HTTPS_PROXY": "http://127.0.0.1:9"} {
		t.Setenv(name, value)
	}
	if err := os.RemoveAll(filepath.Join(venv, "bin", "pip")); err != nil {
		t.Fatal(err)
	}
	if again, err := envs.Make(t.Context(), p, host); err != nil || again != venv {
		t.Errorf("got %q, %v", again, err)
	}
}

func TestABrokenRequirement(t *testing.T) {
	t.Parallel()
	host := realHost(t)
	needIndex(t)
	dir := t.TempDir()
	_, err := Folder(dir).Make(t.Context(), target.Python{Packages: []string{"six==9.9.9"}}, host)
	if !errors.Is(err, target.ErrPermanent) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"the Python environment (six) cannot be made with Python 3.", `"pip install" ended with exit status 1: Could not find a version that satisfies the requirement six==9.9.9 (from versions: …, `,
		"there is no such version for this Python: ask for one that there is", `all that it said is in "` + dir,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*", logFile))
	if len(logs) != 1 {
		t.Errorf("got logs %q", logs)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", venvDir)); len(left) > 0 {
		t.Errorf("it leaves %q", left)
	}
}

// An index that cannot be reached may be reached the next time.
func TestNoNetwork(t *testing.T) {
	host := realHost(t)
	for name, value := range map[string]string{"PIP_INDEX_URL": "http://me:hunter2@127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "HTTP_PROXY": "", "http_proxy": "", "ALL_PROXY": "", "all_proxy": ""} {
		t.Setenv(name, value)
	}
	_, err := Folder(t.TempDir()).Make(t.Context(), six, host)
	if err == nil || errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "the package index did not answer") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
