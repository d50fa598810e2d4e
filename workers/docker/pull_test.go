package docker

import (
	"archive/tar"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// registry serves images to the engine of a rig until the test ends.
func (r rig) registry(t *testing.T) (reg *rigs.Registry, address string) {
	t.Helper()
	reg = &rigs.Registry{}
	l, err := r.engine.Listen()
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: reg}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // whatever the developer is logged in to
	return reg, l.Addr().String()
}

// saying is an image whose /which says a word.
func saying(t *testing.T, reg *rigs.Registry, name, tag, word string) (digest string) {
	t.Helper()
	digest, err := reg.Push(name, tag, func(w *tar.Writer) error {
		if err := rigs.Busybox(w); err != nil {
			return err
		}
		return rigs.AddFile(w, "which", 0o644, []byte(word+"\n"))
	})
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// says runs a job in an image and returns what the image says.
func (x table) says(id, image, pull string) (string, target.Status) {
	x.Helper()
	x.t = x.r.target(x.T, map[string]any{"pull": pull})
	x.submit(target.Job{ID: id, Script: "cat /which", Environment: &target.Environment{Image: image}}, &targettest.Blobs{})
	st := x.wait(id)
	return strings.TrimSpace(x.log(id)), st
}

// Images come from a registry as `pull` says, and what ran is told by its digest.
func TestImagesArePulled(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		reg, address := r.registry(t)
		x := newTable(t, r, nil)
		const name = "team/pulled"
		tagged := address + "/" + name + ":1"
		first := saying(t, reg, name, "1", "first")
		word, st := x.says("missing", tagged, "missing")
		if want := "the image " + tagged + " is " + address + "/" + name + "@" + first; word != "first" || len(st.Notes) != 1 || st.Notes[0] != want {
			t.Errorf("it says %q, with the notes %q, want %q", word, st.Notes, want)
		}
		second := saying(t, reg, name, "1", "second")
		asked := reg.Asked()
		if word, _ := x.says("again", tagged, "missing"); word != "first" || reg.Asked() != asked {
			t.Errorf("an image that is there was pulled again: it says %q", word)
		}
		if word, _ := x.says("always", tagged, "always"); word != "second" {
			t.Errorf("with `pull: always` it says %q", word)
		}
		// A digest is the same for ever, also when nobody has it any more.
		for id, digest := range map[string]string{"pinned-1": first, "pinned-2": second} {
			word, st := x.says(id, address+"/"+name+"@"+digest, "missing")
			if want := map[string]string{first: "first", second: "second"}[digest]; word != want || len(st.Notes) != 0 {
				t.Errorf("by digest it says %q, want %q, with the notes %q", word, want, st.Notes)
			}
		}
	})
}

// What a registry does not have it will not have next time either.
func TestImagesThatAreNotThere(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		reg, address := r.registry(t)
		saying(t, reg, "team/there", "1", "there")
		for id, image := range map[string]string{"tag": "/team/there:2", "name": "/team/nowhere:1", "digest": "/team/there@sha256:" + strings.Repeat("0", 64)} {
			x := newTable(t, r, map[string]any{"pull": "missing"})
			err := x.d.Submit(t.Context(), x.t, target.Job{ID: "none-" + id, Script: "true", Environment: &target.Environment{Image: address + image}}, &targettest.Blobs{})
			if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), address+image) || !strings.Contains(err.Error(), "is the name right") {
				t.Errorf("%s: got %v", id, err)
			}
			if left := r.left(t); len(left) != 0 {
				t.Errorf("%s: left %q", id, left)
			}
		}
	})
}

// What is no name of an image can never be one, whichever engine is asked.
func TestWhatIsNoNameOfAnImage(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		for when, image := range map[string]string{"missing": "--privileged", "never": "A B", "always": "a:b:c"} {
			x := newTable(t, r, map[string]any{"pull": when})
			err := x.d.Submit(t.Context(), x.t, target.Job{ID: "odd-" + when, Script: "true", Environment: &target.Environment{Image: image}}, &targettest.Blobs{})
			if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), image) {
				t.Errorf("%s: got %v", when, err)
			}
		}
	})
}

// A registry that wants a login gets the one that the target names, which is kept nowhere.
func TestPrivateRegistry(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		reg, address := r.registry(t)
		reg.User, reg.Password = "ml", "5up3r-secret"
		saying(t, reg, "private/image", "1", "private")
		image := address + "/private/image:1"
		job := func(id string) target.Job {
			return target.Job{ID: id, Script: "cat /which", Environment: &target.Environment{Image: image}}
		}
		login := func(variable string) map[string]any {
			return map[string]any{"pull": "missing", "logins": map[string]any{address: map[string]any{"user": "ml", "password": map[string]any{"env": variable}}}}
		}
		t.Setenv("AMLFLOW_TEST_PASSWORD", "5up3r-secret")
		t.Setenv("AMLFLOW_TEST_WRONG", "wr0ng")
		for id, c := range map[string]struct {
			more map[string]any
			want string
		}{
			"nobody": {map[string]any{"pull": "missing"}, "is there a login"},
			"wrong":  {login("AMLFLOW_TEST_WRONG"), "is there a login"},
			"unset":  {login("AMLFLOW_TEST_NOTHING"), "AMLFLOW_TEST_NOTHING"},
		} {
			x := newTable(t, r, c.more)
			err := x.d.Submit(t.Context(), x.t, job(id), &targettest.Blobs{})
			if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wr0ng") {
				t.Errorf("%s: got %v", id, err)
			}
		}
		x := newTable(t, r, login("AMLFLOW_TEST_PASSWORD"))
		x.submit(job("known"), &targettest.Blobs{})
		if st := x.wait("known"); st.State != target.Succeeded || x.log("known") != "private\n" {
			t.Errorf("got %+v, log %q", st, x.log("known"))
		}
	})
}
