package docker

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/client"
)

// serveImage has a shell, and finds all else, such as Python, in the folders of this
// machine that a target lends it.
const serveImage = "localhost/amlflow-serve:1"

var lent = []string{"/usr:/usr", "/etc/alternatives:/etc/alternatives"}

var giveServeImage = sync.OnceValue(func() error {
	return podman.engine.Import(serveImage, func(w *tar.Writer) error {
		for _, name := range []string{"lib", "lib64"} {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: "usr/" + name, Mode: 0o777}); err != nil {
				return err
			}
		}
		return rigs.Busybox(w)
	})
})

// onServing lends a target whose containers have a network, and the Python of this machine.
func onServing(t *testing.T, more map[string]any) (rig, target.Target) {
	t.Helper()
	r := onPodman(t)
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("SKIP: there is no /usr/bin/python3 to lend to containers: apt-get install -y python3")
	}
	if err := giveServeImage(); err != nil {
		t.Fatal(err)
	}
	s := map[string]any{"image": serveImage, "network": nil, "volumes": lent}
	for k, v := range more {
		s[k] = v
	}
	return r, r.target(t, s)
}

// leavesNothing says which containers are still there, and removes all.
func (r rig) leavesNothing(t *testing.T) {
	t.Helper()
	all, err := r.engineOf(t).ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelJob)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Items {
		t.Errorf("the container of %s is left behind", c.Labels[labelJob])
	}
	r.wipe(t)
}

func TestServingOnPodman(t *testing.T) {
	targettest.RunServing(t, func(t *testing.T) targettest.Harness {
		shared, dir := t.TempDir(), t.TempDir()
		r, on := onServing(t, map[string]any{"volumes": append([]string{shared + ":" + shared + ":rw"}, lent...)})
		t.Cleanup(func() { r.leavesNothing(t) })
		g := startGateways(t, dir)
		return targettest.Harness{
			Driver: Driver{Dir: dir}.Serving(g.Folder), KillServing: func(*testing.T) { g.Kill() },
			Target: on, Host: map[string]string{"PATH": "/nowhere"}, Shared: shared, Folder: r.root, Image: serveImage,
		}
	})
}

func TestWhereNobodyCanAsk(t *testing.T) {
	dir := t.TempDir()
	d := Driver{Dir: dir}.Serving(startGateways(t, dir).Folder)
	closed := target.Target{Name: "closed", Kind: "docker", Settings: []byte(`{"network": "none", "image": "x"}`)}
	if d.Can(closed).Serve {
		t.Error("a target without a network says that it serves")
	}
	if err := d.Vet(closed, target.Job{ID: "j", Script: "true", Port: 1}); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "network: none") {
		t.Errorf("without a network: %v", err)
	}
	e, err := open(address{Host: "tcp://192.0.2.1:2376"})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.near(t.Context()); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "another machine") {
		t.Errorf("an engine elsewhere: %v", err)
	}
}
