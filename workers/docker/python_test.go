package docker

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/client"
)

// wheels makes a folder with a package of Python that pip can install without an index.
func wheels(t *testing.T) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/share/python-wheels/pip-*.whl"); len(found) == 0 {
		t.Skip("SKIP: Debian's Python makes no environments here: apt-get install -y python3-venv")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "greeter-1.2-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, file := range []struct{ name, text string }{
		{"greeter.py", "word = 'hello'\n"},
		{"greeter-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeter\nVersion: 1.2\n"},
		{"greeter-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"greeter-1.2.dist-info/RECORD", "greeter.py,,\ngreeter-1.2.dist-info/METADATA,,\ngreeter-1.2.dist-info/WHEEL,,\ngreeter-1.2.dist-info/RECORD,,\n"},
	} {
		w, err := z.Create(file.name)
		if err == nil {
			_, err = w.Write([]byte(file.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", "/wheels")
	return dir
}

func asking(id string, p target.Python, script string) target.Job {
	return target.Job{ID: id, Script: script, Environment: &target.Environment{Python: &p}}
}

// An environment is made once in the image of the stage, and every job that asks for the same
// finds it, as whoever it runs, and cannot change it.
func TestPythonEnvironmentsInContainers(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		dir := wheels(t)
		more := map[string]any{"image": pythonImage, "network": "host", "volumes": []string{dir + ":/wheels"}}
		x := newTable(t, r.withPython(t), more)
		// A requirement that no other test, and no earlier one, has asked for.
		p := target.Python{Requirements: "greeter==1.2 # " + t.Name() + "\n", Packages: []string{fmt.Sprintf("greeter<%d", time.Now().UnixNano())}}
		const script = `python3 -c 'import greeter, sys; print(greeter.word, sys.prefix)'; touch /amlflow-python/x 2>/dev/null || echo read-only`
		ids := []string{"first", "second", "third"}
		var all sync.WaitGroup
		for _, id := range ids {
			all.Go(func() { x.submit(asking(id, p, script), &targettest.Blobs{}) })
		}
		all.Wait()
		more["user"] = "nobody"
		y := newTable(t, r, more)
		y.submit(asking("nobody", p, script), &targettest.Blobs{})
		const want = "hello /amlflow-python/venv\nread-only\n"
		for _, id := range ids {
			if st := x.wait(id); st.State != target.Succeeded || x.log(id) != want {
				t.Errorf("%s: got %+v, log %q", id, st, x.log(id))
			}
		}
		if st := y.wait("nobody"); st.State != target.Succeeded || y.log("nobody") != want {
			t.Errorf("as nobody: got %+v, log %q", st, y.log("nobody"))
		}

		e := r.engineOf(t)
		volumes, err := e.VolumeList(t.Context(), client.VolumeListOptions{Filters: make(client.Filters).Add("label", labelEnvironment)})
		if err != nil || len(volumes.Items) != 1 {
			t.Errorf("there are %d environments, %v", len(volumes.Items), err)
		}
		boxes, err := e.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelEnvironment)})
		if err != nil || len(boxes.Items) != 0 {
			t.Errorf("%d containers that made environments are left, %v", len(boxes.Items), err)
		}
		// It stays as long as jobs have it, and goes when nobody does.
		kept := func() (n int) {
			all, err := x.d.Kept(t.Context(), x.t)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range all {
				if k.What != target.KeptEnvironment {
					continue
				}
				n++
				if _, err := x.d.Sweep(t.Context(), x.t, k, time.Now().Add(time.Hour)); err != nil {
					t.Error(err)
				}
			}
			return n
		}
		if n := kept(); n != 1 {
			t.Errorf("it keeps %d environments", n)
		}
		for _, id := range ids {
			if err := x.d.Clean(t.Context(), x.t, id); err != nil {
				t.Error(err)
			}
		}
		if err := y.d.Clean(t.Context(), y.t, "nobody"); err != nil {
			t.Error(err)
		}
		if n := kept(); n != 1 {
			t.Errorf("it was removed while jobs had it: %d are left", n)
		}
		if n := kept(); n != 0 {
			t.Errorf("%d are left when nobody has them", n)
		}
	})
}

// What cannot be made fails the stage, with the words of whoever could not.
func TestPythonEnvironmentsThatCannotBeMade(t *testing.T) {
	r := onPodman(t)
	dir := wheels(t)
	x := newTable(t, r.withPython(t), map[string]any{"image": pythonImage, "network": "host", "volumes": []string{dir + ":/wheels"}})
	for want, c := range map[string]struct {
		image string
		p     target.Python
	}{
		"the index has nothing by this name":  {"", target.Python{Packages: []string{"no-such-package-here"}}},
		"there is no Python 2.4 in the image": {"", target.Python{Version: "2.4"}},
		"there is no python3 in the image":    {examImage, target.Python{}},
	} {
		on := x.t
		if c.image != "" {
			on = r.target(t, map[string]any{"image": c.image, "network": "host"})
		}
		err := x.d.Submit(t.Context(), on, asking("vain", c.p, "true"), &targettest.Blobs{})
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, target.ErrPermanent) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if can := x.d.Can(r.target(t, nil)); can.Python {
		t.Error("without a network it says that it makes environments")
	}
}
