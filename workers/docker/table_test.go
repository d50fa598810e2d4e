package docker

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/client"
)

// table is a driver and a target on a rig, ready for jobs.
type table struct {
	*testing.T
	r rig
	d Driver
	t target.Target
}

// newTable wipes the rig afterwards: tests use the same ids again.
func newTable(t *testing.T, r rig, more map[string]any) table {
	t.Helper()
	t.Cleanup(func() { r.wipe(t) })
	return table{T: t, r: r, d: Driver{Dir: t.TempDir()}, t: r.target(t, more)}
}

func (x table) submit(j target.Job, in target.Blobs) {
	x.Helper()
	if err := x.d.Submit(x.Context(), x.t, j, in); err != nil {
		x.Fatalf("submit %s: %v", j.ID, err)
	}
}

func (x table) status(id string) target.Status {
	x.Helper()
	st, err := x.d.Status(x.Context(), x.t, id)
	if err != nil {
		x.Fatalf("status of %s: %v", id, err)
	}
	return st
}

func (x table) wait(id string) target.Status {
	x.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st := x.status(id); st.State.Ended() {
			return st
		}
	}
	x.Fatalf("job %s did not end: %+v, log %q", id, x.status(id), x.log(id))
	return target.Status{}
}

func (x table) cancel(id string) {
	x.Helper()
	if err := x.d.Cancel(x.Context(), x.t, id, target.CauseCancel); err != nil {
		x.Fatalf("cancel %s: %v", id, err)
	}
}

func (x table) read(id string, offset int64) (string, int64) {
	x.Helper()
	var w bytes.Buffer
	n, err := x.d.Read(x.Context(), x.t, id, target.Stream{Name: target.Log}, offset, &w)
	if err != nil {
		x.Fatalf("read the log of %s: %v", id, err)
	}
	return w.String(), n
}

func (x table) log(id string) string {
	x.Helper()
	text, _ := x.read(id, 0)
	return text
}

func (x table) logHas(id, text string) {
	x.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(x.log(id), text) {
			return
		}
	}
	x.Fatalf("the log of %s never had %q: %+v, %q", id, text, x.status(id), x.log(id))
}

// folderOf makes a folder of files, given as name and content in turn.
func folderOf(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for pair := range slices.Chunk(files, 2) {
		if err := os.WriteFile(filepath.Join(dir, pair[0]), []byte(pair[1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// left lists what the engine holds of jobs: containers, and volumes by their names;
// those without one are only counted.
func (r rig) left(t *testing.T) []string {
	t.Helper()
	e, ctx := r.engineOf(t), context.Background()
	ours := make(client.Filters).Add("label", labelJob)
	boxes, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := e.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range boxes.Items {
		all = append(all, "container "+c.Names[0])
	}
	for _, v := range volumes.Items {
		if !strings.HasPrefix(v.Name, "amlflow-") {
			v.Name = "nameless"
		}
		all = append(all, "volume "+v.Name)
	}
	return all
}

// wipe removes every container and volume of jobs: tests use the same ids again.
func (r rig) wipe(t *testing.T) {
	t.Helper()
	e, ctx := r.engineOf(t), context.Background()
	all, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelJob)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Items {
		if err := e.drop(ctx, c.ID); err != nil {
			t.Error(err)
		}
	}
	volumes, err := e.VolumeList(ctx, client.VolumeListOptions{Filters: make(client.Filters).Add("label", labelJob)})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		if err := e.dropVolume(ctx, v.Name); err != nil {
			t.Error(err)
		}
	}
}
