// Package docker runs jobs as containers of Docker, or of Podman through the same API.
//
//	targets:
//	  box: { kind: docker, image: "python:3.12-slim", memory: 4Gi }
//	  pod: { kind: docker, host: "unix:///run/podman/podman.sock", image: "python:3.12-slim", network: none }
//
// The engine, which may be on another machine, is all the memory there is. It holds:
//
//	container amlflow-<id>-<token>  the job; labels say whose it is and what its record is
//	volume, nameless                /amlflow of that container: code, inputs, outputs, log; it goes with it
//	volume amlflow-<id>             the mark: which container may ever be started, in a label. It stays when
//	                                the job was cleaned
//	volume amlflow-env-<digest>     an environment of Python, see python.go
//	volume amlflow-<id>-STOP        the wish to end the job: why, and when
//
// How a job is started at most once, though neither a container nor a volume can be
// locked and a submission may sleep at any line:
//
//   - A submission makes a container of its own, a draft, and fills it.
//   - Then it makes the mark, which says that this is the one. The engine lets one of
//     many make a volume of a name; who comes later gets to see the first, and removes
//     his own draft.
//   - The container is started by its name, which has the token of whoever may do so.
//     Another who finds it made and not started takes it over by giving it a name of
//     his own, looks once more, and starts it by that. Whoever slept meanwhile knows a
//     name that no longer exists.
//   - Cancel makes the wish and then takes the name, too, and starts nothing. A
//     submission looks for the wish after it has the name.
//
// A container that was started is never started again, and a mark without its
// container is a job that is lost, or was cleaned.
//
// In the container, start.sh gives the program what the API cannot: variables of any
// bytes, secrets that inspecting does not show, a log with every byte in the order
// written, the default action for signals, a timeout that needs no worker. An image
// without /bin/sh runs commands too, without these; see bare.go.
package docker

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/client"
)

//go:embed settings.schema.json
var settingsSchema []byte

// Driver runs jobs as containers. Dir, an absolute path, holds files on their way to
// and from the engine, and what tells the containers of this state folder from those
// of others.
type Driver struct {
	gateway.Service
	Dir string
}

var _ target.Driver = Driver{}

// Kind implements target.Driver.
func (Driver) Kind() target.Kind {
	return target.Kind{Name: "docker", Summary: "containers of Docker or Podman", Settings: settingsSchema}
}

// Can implements target.Driver.
func (d Driver) Can(t target.Target) target.Can {
	s, err := readSettings(t)
	if err != nil {
		s = settings{}
	}
	why := unserved(s)
	serves := d.Serves() && why == ""
	return target.Can{Nodes: max(s.Nodes, 1), GPU: s.GPUs > 0, Images: true, Python: s.Network != networkNone, Launch: true, Checkpoints: true, Serve: serves, Route: serves, Unserved: why, Unequipped: unequipped, Memory: target.HoldAlways, CPUs: target.HoldAlways}
}

// Check implements target.Driver.
func (d Driver) Check(ctx context.Context, t target.Target) error {
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	e, err := open(s.address)
	if err != nil {
		return err
	}
	v, err := e.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return e.trouble("ask for its version", err)
	}
	if v.Os != "linux" {
		return fmt.Errorf("the container engine at %q runs containers of %s: jobs need one that runs Linux containers", e.host, v.Os)
	}
	if s.GPUs > 0 && isPodman(v) {
		return errPodmanGPUs
	}
	if s.Image == "" || s.Pull != pullNever {
		return nil
	}
	_, err = e.image(ctx, s.Image, pulling{when: pullNever})
	return err
}
