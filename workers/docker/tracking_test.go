package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/workers/targettest"
)

// The image has no Python: it sees that of this machine, with the libraries that it needs.
func TestTracking(t *testing.T) {
	dir := os.Getenv("AMLFLOW_TEST_MLFLOW")
	if dir == "" {
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("SKIP: python3 is not here: apt-get install python3")
		}
		dir = filepath.Dir(python)
	}
	r := onPodman(t)
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "python3"))
	if err != nil {
		t.Skipf("SKIP: %v", err)
	}
	t.Cleanup(func() { r.wipe(t) })
	shared := t.TempDir()
	volumes := []string{shared + ":" + shared + ":rw"}
	for there, here := range map[string]string{"/lib": "/usr/lib", "/lib64": "/usr/lib64", "/usr/lib": "/usr/lib", "/usr/local/lib": "/usr/local/lib"} {
		if _, err := os.Stat(here); err == nil {
			volumes = append(volumes, here+":"+there)
		}
	}
	seen := map[string]bool{"/usr": true}
	for _, tree := range []string{filepath.Dir(dir), filepath.Dir(filepath.Dir(real))} {
		if !seen[tree] {
			seen[tree] = true
			volumes = append(volumes, tree+":"+tree)
		}
	}
	targettest.Tracking(t, targettest.Harness{Driver: Driver{Dir: t.TempDir()}, Target: r.target(t, map[string]any{"volumes": volumes}), Shared: shared})
}
