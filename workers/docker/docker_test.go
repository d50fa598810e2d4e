package docker

import (
	"testing"

	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/api/types/container"
)

func containerOf(image string, command ...string) *container.Config {
	return &container.Config{Image: image, Entrypoint: command, Cmd: []string{}}
}

func TestExamOnPodman(t *testing.T) { exam(t, onPodman(t)) }

func TestExamOnDocker(t *testing.T) { exam(t, onDocker(t)) }

func exam(t *testing.T, r rig) {
	targettest.Run(t, func(t *testing.T) targettest.Harness {
		shared := t.TempDir()
		t.Cleanup(func() { r.wipe(t) })
		return targettest.Harness{
			Driver: Driver{Dir: t.TempDir()},
			Target: r.target(t, map[string]any{"volumes": []string{shared + ":" + shared + ":rw"}}),
			Host:   map[string]string{"PATH": "/nowhere"},
			Shared: shared,
			Folder: r.root,
			Image:  examImage,
		}
	})
}
