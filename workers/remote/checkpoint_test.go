package remote

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// saves leaves three checkpoints, one of which is not whole, and a link in the oldest.
const saves = `cd "checkpoints 1"; cat old/n; mkdir a; ln -s /etc/passwd a/link; touch -h -t 200101010000 a/link a
echo z >z; touch -t 200201010000 z; mkdir c; echo c >c/n; echo no >d.part`

// The newest checkpoints are kept, whether or not the host's find can print times; and the
// folder begins with what it is given.
func TestCheckpoints(t *testing.T) {
	for _, find := range []string{"as it is", "without -printf"} {
		t.Run(find, func(t *testing.T) {
			if find != "as it is" {
				real, err := exec.LookPath("find")
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				script := "#!/bin/sh\ncase \"$*\" in *-printf*) echo >&2 unknown; exit 1 ;; esac\nexec " + real + " \"$@\"\n"
				if err := os.WriteFile(filepath.Join(dir, "find"), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
				t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			}
			m, _ := here(t)
			blobs := &targettest.Blobs{}
			from, err := target.JoinTree(t.Context(), blobs, []target.Part{{Name: "old/n", Ref: blobs.Add(t, "0\n")}})
			if err != nil {
				t.Fatal(err)
			}
			c := target.Checkpoint{Path: "checkpoints 1", Keep: 2, From: from}
			if err := errors.Join(fillSaving(t, m, c, blobs), m.Launch(t.Context(), "u", nil)); err != nil {
				t.Fatal(err)
			}
			if v := wait(t, m); v.Status != 0 {
				t.Fatalf("got %+v", v)
			}
			ref, mark, err := m.PutCheckpoints(t.Context(), blobs, "u", c, false, "")
			if err != nil {
				t.Fatal(err)
			}
			list, err := target.ListTree(t.Context(), blobs, ref)
			var names []string
			for _, e := range list {
				names = append(names, e.Path)
			}
			// What it began from was written when it was laid out, before c.
			if err != nil || !slices.Equal(names, []string{"c/n", "old/n"}) {
				t.Errorf("kept %q, %v", names, err)
			}
			if again, same, err := m.PutCheckpoints(t.Context(), blobs, "u", c, false, mark); again != "" || same != mark || err != nil {
				t.Errorf("nothing has changed, and it kept %q (%q, %v)", again, same, err)
			}
			c.Keep = 4
			if ref, _, err := m.PutCheckpoints(t.Context(), blobs, "u", c, false, mark); !errors.Is(err, target.ErrPermanent) {
				t.Errorf("a link was kept in %q, %v", ref, err)
			}
		})
	}
}

// fillSaving lays out the unit "u" with a folder for checkpoints.
func fillSaving(t *testing.T, m *Machine, c target.Checkpoint, in target.Blobs) error {
	t.Helper()
	if _, err := m.Begin(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	return m.Fill(t.Context(), "u", func(dir string) (Layout, error) {
		return Layout{Process: jobdir.Process{Argv: []string{"sh", "-ec", saves}, Env: []string{"PATH=/usr/bin:/bin"}, Work: dir + "/code"}, Checkpoint: &c}, nil
	}, in)
}

func TestCheckpointsStayInside(t *testing.T) {
	m, _ := here(t)
	for _, path := range []string{"../../outside", "/outside", "two\nlines", ""} {
		if err := fillSaving(t, m, target.Checkpoint{Path: path, Keep: 1}, &targettest.Blobs{}); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%q: got %v", path, err)
		}
	}
}
