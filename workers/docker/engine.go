package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

// engine is a daemon that speaks the API of Docker.
type engine struct {
	*client.Client
	host   string
	isNear atomic.Bool // see near
	clock  clock
}

// engines are the connections that this process holds, by what opens them: finding out
// which API both sides speak costs as much as a call.
var engines sync.Map

func open(a address) (*engine, error) {
	key := a
	if a.Host == "" {
		key.Host = usualHost()
	}
	if e, ok := engines.Load(key); ok {
		return e.(*engine), nil
	}
	opts := []client.Opt{client.WithHost(key.Host)}
	switch {
	case a.TLS != "":
		opts = append(opts, client.WithTLSClientConfig(filepath.Join(a.TLS, "ca.pem"), filepath.Join(a.TLS, "cert.pem"), filepath.Join(a.TLS, "key.pem")))
	case a.Host == "":
		opts = append(opts, client.WithTLSClientConfigFromEnv())
	}
	c, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("the container engine at %q: %w: %w", key.Host, err, target.ErrPermanent)
	}
	e, _ := engines.LoadOrStore(key, &engine{Client: c, host: key.Host})
	return e.(*engine), nil
}

// usualHost is where an engine is when nobody says so: Docker's as root, Docker's of
// this user, Podman's as root, Podman's of this user.
func usualHost() string {
	if h := os.Getenv(client.EnvOverrideHost); h != "" {
		return h
	}
	sockets := []string{"/var/run/docker.sock", "/run/podman/podman.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = slices.Insert(sockets, 1, filepath.Join(dir, "docker.sock"))
		sockets = append(sockets, filepath.Join(dir, "podman/podman.sock"))
	}
	for _, s := range sockets {
		if _, err := os.Stat(s); err == nil {
			return "unix://" + s
		}
	}
	return client.DefaultDockerHost
}

// trouble puts an error of the engine into words, and marks it as permanent when the
// same request would get the same answer.
func (e *engine) trouble(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err):
		return target.Unreachable(fmt.Errorf("%s: no answer from the container engine at %q: start it, make its socket accessible, or correct `host` of the target: %w", doing, e.host, err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, err)
	case errdefs.IsInvalidArgument(err), errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err), errdefs.IsNotImplemented(err):
		return fmt.Errorf("%s: the container engine at %q refuses: %w: %w", doing, e.host, err, target.ErrPermanent)
	}
	return fmt.Errorf("%s: the container engine at %q: %w", doing, e.host, err)
}

// moment reads a time of the engine. What has not happened is zero.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at.UTC()
}

func isPodman(v client.ServerVersionResult) bool {
	return slices.ContainsFunc(v.Components, func(c system.ComponentVersion) bool { return c.Name == "Podman Engine" })
}
