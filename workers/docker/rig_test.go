package docker

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// examImage has a shell and the usual tools, and sets no variables. It is a busybox.
const examImage = "localhost/amlflow-exam:1"

// pythonImage is made of this computer's Debian: its shell and tools, and its python3.
const pythonImage = "localhost/amlflow-python:1"

// rig is a container engine for tests.
type rig struct {
	host   string       // what a target says
	root   string       // where it keeps everything, when this machine can look there
	engine *rigs.Engine // when it is one of ours
}

// engineOf connects to the engine of the rig.
func (r rig) engineOf(t *testing.T) *engine {
	t.Helper()
	e, err := open(address{Host: r.host})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// target returns a target on the rig, with more settings.
func (r rig) target(t *testing.T, more map[string]any) target.Target {
	t.Helper()
	s := map[string]any{"host": r.host, "image": examImage, "pull": "never", "network": "none", "shm": "8Mi"}
	for k, v := range more {
		s[k] = v
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return target.Target{Name: "box", Kind: "docker", Settings: text}
}

// kept is an engine that the first test starts that wants one, and TestMain ends.
type kept struct {
	start  func() (*rigs.Engine, error)
	once   sync.Once
	proven sync.Once
	unfit  error // it answers, and cannot run anything, as in some sandboxes
	engine *rigs.Engine
	err    error
	python sync.Once // its image
	failed error
}

var (
	podman = &kept{start: rigs.Podman}
	docker = &kept{start: rigs.Docker}
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(gatewayDir); dir != "" {
		os.Exit(beGateway(dir))
	}
	if text := os.Getenv(errandVariable); text != "" {
		os.Exit(runErrand(text))
	}
	code := m.Run()
	for _, k := range []*kept{podman, docker} {
		if k.engine != nil {
			k.engine.End()
		}
	}
	os.Exit(code)
}

// onPodman lends the Podman of these tests, or skips.
func onPodman(t *testing.T) rig { return podman.lend(t) }

// onDocker lends the Docker of these tests, or skips.
func onDocker(t *testing.T) rig { return docker.lend(t) }

func (k *kept) lend(t *testing.T) rig {
	t.Helper()
	k.once.Do(func() {
		if k.engine, k.err = k.start(); k.err == nil {
			k.err = k.engine.Import(examImage, rigs.Busybox)
		}
	})
	switch {
	case errors.Is(k.err, rigs.ErrMissing):
		t.Skipf("SKIP: %v", k.err)
	case k.err != nil:
		t.Fatal(k.err)
	}
	r := rig{host: k.engine.Host, root: k.engine.Root, engine: k.engine}
	k.proven.Do(func() { k.unfit = prove(t, r.engineOf(t)) })
	if k.unfit != nil {
		t.Skipf("SKIP: the engine runs no containers here: %v", k.unfit)
	}
	return r
}

// prove runs a container.
func prove(t *testing.T, e *engine) error {
	c, err := e.ContainerCreate(t.Context(), client.ContainerCreateOptions{Config: containerOf(examImage, "true"), HostConfig: &container.HostConfig{NetworkMode: "none"}})
	if err == nil {
		defer e.discard(c.ID)
		_, err = e.ContainerStart(t.Context(), c.ID, client.ContainerStartOptions{})
	}
	return err
}

// withPython gives the engine the image with Python, or skips.
func (r rig) withPython(t *testing.T) rig {
	t.Helper()
	k := podman
	if r.engine == docker.engine {
		k = docker
	}
	k.python.Do(func() { k.failed = r.engine.Import(pythonImage, rigs.Python) })
	switch {
	case errors.Is(k.failed, rigs.ErrMissing):
		t.Skipf("SKIP: %v", k.failed)
	case k.failed != nil:
		t.Fatal(k.failed)
	}
	return r
}
