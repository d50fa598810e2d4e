package docker

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func box(settings string) target.Target {
	return target.Target{Name: "box", Kind: "docker", Settings: json.RawMessage(settings)}
}

func TestSettingsAreRefused(t *testing.T) {
	for settings, want := range map[string]string{
		`{"host": "tcp://far.example:2375"}`:               "nothing protects the connection",
		`{"host": "tcp://192.0.2.1:2376"}`:                 "name a folder with ca.pem",
		`{"host": "ssh://somebody@far"}`:                   "ssh -L",
		`{"memory": "lots"}`:                               "write bytes",
		`{"volumes": ["/data"]}`:                           "/SOURCE:/TARGET",
		`{"volumes": ["data:/data"]}`:                      "/SOURCE:/TARGET",
		`{"volumes": ["/data:/data:rx"]}`:                  "/SOURCE:/TARGET",
		`{"volumes": ["/data:/amlflow/code"]}`:             "hide what every job needs",
		`{"volumes": ["/data:/x/../amlflow"]}`:             "hide what every job needs",
		`{"volumes": ["/data:/"]}`:                         "hide what every job needs",
		`{"host": "tcp://far.example:1", "tls": "/no/pe"}`: "/no/pe",
	} {
		err := Driver{Dir: t.TempDir()}.Check(t.Context(), box(settings))
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", settings, err, want)
		}
	}
	for _, host := range []string{"unix:///x", "tcp://localhost:1", "tcp://127.0.0.1:1", "tcp://[::1]:1"} {
		if _, err := readSettings(box(`{"host": "` + host + `", "volumes": ["/a:/b", "/a:/c:rw"]}`)); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestJobsAreRefused(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	x := newTable(t, onPodman(t), map[string]any{"cpus": 2, "memory": "1Gi", "image": ""})
	none := target.Environment{Image: "localhost/none:1"}
	for id, c := range map[string]struct {
		job  target.Job
		want string
	}{
		"no-image":  {target.Job{Script: "true"}, "has no `image`"},
		"unknown":   {target.Job{Script: "true", Environment: &none}, "`pull: missing`"},
		"nodes":     {target.Job{Script: "true", Needs: target.Resources{Nodes: 2}}, "has 1 nodes"},
		"gpus":      {target.Job{Script: "true", Needs: target.Resources{GPUs: 1}}, "lends no GPUs"},
		"cpus":      {target.Job{Script: "true", Needs: target.Resources{CPUs: 3}}, "has 2 cpus"},
		"memory":    {target.Job{Script: "true", Needs: target.Resources{Memory: 2 << 30}}, "has 1Gi of memory"},
		"nul":       {target.Job{Command: []string{"a\x00b"}}, "NUL byte"},
		"nul-value": {target.Job{Script: "true", Secrets: map[string]string{"X": "hid\x00den"}}, `"X" holds a NUL byte`},
		"variable":  {target.Job{Script: "true", Env: map[string]string{"a-b": ""}}, "cannot name an environment variable"},
	} {
		c.job.ID = id
		if c.job.Environment == nil && id != "no-image" {
			c.job.Environment = &target.Environment{Image: examImage}
		}
		err := d.Submit(t.Context(), x.t, c.job, &targettest.Blobs{})
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: got %v, want %q", id, err, c.want)
		}
		if st, err := d.Status(t.Context(), x.t, id); err != nil || st.State != target.Lost {
			t.Errorf("%s: then it is %+v, %v", id, st, err)
		}
	}
}

// An engine that does not answer is worth another try.
func TestEngineIsAway(t *testing.T) {
	tgt := box(`{"host": "unix://` + filepath.Join(t.TempDir(), "none.sock") + `", "image": "x"}`)
	d := Driver{Dir: t.TempDir()}
	_, status := d.Status(t.Context(), tgt, "job")
	_, collected := d.Collect(t.Context(), tgt, "job", &targettest.Blobs{})
	for what, err := range map[string]error{
		"check":   d.Check(t.Context(), tgt),
		"submit":  d.Submit(t.Context(), tgt, target.Job{ID: "job", Script: "true"}, &targettest.Blobs{}),
		"status":  status,
		"collect": collected,
		"cancel":  d.Cancel(t.Context(), tgt, "job", target.CauseCancel),
		"clean":   d.Clean(t.Context(), tgt, "job"),
	} {
		if err == nil || errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "start it") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if kept, err := d.Kept(t.Context(), target.Target{Kind: "docker"}); err != nil || len(kept) != 0 {
		t.Errorf("kept: %+v, %v", kept, err)
	}
}

// A registry that does not answer is worth another try.
func TestRegistryIsAway(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		away := l.Addr().String() + "/some/image:1"
		l.Close()
		t.Setenv("DOCKER_CONFIG", t.TempDir())
		x := newTable(t, r, map[string]any{"image": away, "pull": "missing"})
		err = x.d.Submit(t.Context(), x.t, target.Job{ID: "away", Script: "true"}, &targettest.Blobs{})
		if err == nil || errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), away) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLogins(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	auth := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	file := `{"auths": {"far.example:5000": {"auth": "` + auth("me:pass:word") + `"}, "` + dockerHub + `": {"auth": "` + auth("hub:x") + `"}, "bad.example": {"auth": "?"}, "helped.example": {}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"far.example:5000/a/b:1": `"password":"pass:word"`, "python": `"username":"hub"`, "some/one:1": `"username":"hub"`, "localhost/x": "", "helped.example/x": "", "far.example/x": "",
	} {
		got, err := registryAuth(image)
		text, _ := base64.URLEncoding.DecodeString(got)
		if err != nil || (got == "") != (want == "") || !strings.Contains(string(text), want) {
			t.Errorf("%s: got %s, %v", image, text, err)
		}
	}
	if _, err := registryAuth("bad.example/x"); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "log in again") {
		t.Errorf("got %v", err)
	}
}

func TestDigests(t *testing.T) {
	known := []string{"mirror.example/python@sha256:2", "python@sha256:1"}
	for name, want := range map[string]string{"python:3.12": "python@sha256:1", "python": "python@sha256:1", "mirror.example/python:3": known[0], "python@sha256:1": "python@sha256:1", "other": "mirror.example/python@sha256:2"} {
		if got := digest("sha256:id", name, append([]string{}, known...)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := digest("sha256:id", "python", nil); got != "sha256:id" {
		t.Errorf("got %s", got)
	}
}
