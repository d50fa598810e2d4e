package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/target"
)

// Endpoints of this computer live in the folder gateway/ below Dir, behind one
// gateway for all targets of the kind; see package gateway.

var (
	_ target.Router   = Driver{}
	_ target.Sentinel = Driver{}
)

// GatewayDir returns the folder whose gateway serves the endpoints.
func (d Driver) GatewayDir() string { return filepath.Join(d.Dir, "gateway") }

// Keep implements target.Keeper: it brings the gateway back if an endpoint needs
// it and it was killed, which any look at the endpoints does, too; so it does with the
// process that jobs log to; and it removes what cleaned jobs have left.
func (d Driver) Keep(ctx context.Context) error {
	return errors.Join(gateway.Ensure(ctx, d.GatewayDir(), d.StartGateway), d.Tracking.Keep(ctx), d.sweepRemains(ctx))
}

// Fallen implements target.Sentinel: the gateway has been killed. Its guards mostly are
// quicker, but they may have been killed with it.
func (d Driver) Fallen(ctx context.Context) bool { return gateway.Fallen(ctx, d.GatewayDir()) }

func (d Driver) endpoints() gateway.Folder {
	return gateway.Folder{Dir: d.GatewayDir(), Start: d.StartGateway}
}

// Deploy implements target.Server.
func (d Driver) Deploy(ctx context.Context, t target.Target, wish target.Deployment, in target.Blobs) error {
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if err := supported(t.Name, wish.Environment); err != nil {
		return fmt.Errorf("deploy %q: %w", wish.Endpoint, err)
	}
	if wish.Needs, err = s.room().Grant(t.Name, wish.Needs); err != nil {
		return fmt.Errorf("deploy %q: %w", wish.Endpoint, err)
	}
	f := d.endpoints()
	f.Shell, f.Envs = s.Shell, d.environments()
	return f.Deploy(ctx, t, wish, in)
}

// Deployed implements target.Server.
func (d Driver) Deployed(ctx context.Context, _ target.Target, id string) (target.Rollout, error) {
	return d.endpoints().Deployed(ctx, id)
}

// Withdraw implements target.Server.
func (d Driver) Withdraw(ctx context.Context, _ target.Target, id string) error {
	return d.endpoints().Withdraw(ctx, id)
}

// Endpoints implements target.Server.
func (d Driver) Endpoints(ctx context.Context, t target.Target) ([]target.Endpoint, error) {
	return d.endpoints().Endpoints(ctx, t)
}

// ReadEndpoint implements target.Server.
func (d Driver) ReadEndpoint(ctx context.Context, t target.Target, name, deployment string, instance int, offset int64, w io.Writer) (int64, error) {
	return d.endpoints().ReadEndpoint(ctx, t.Name, name, deployment, instance, offset, w)
}

// Retire implements target.Server.
func (d Driver) Retire(ctx context.Context, t target.Target, name string) error {
	return d.endpoints().Retire(ctx, t.Name, name)
}

// Split implements target.Router.
func (d Driver) Split(ctx context.Context, t target.Target, s target.Split) error {
	return d.endpoints().Split(ctx, t.Name, s)
}

// Measured implements target.Router.
func (d Driver) Measured(ctx context.Context, t target.Target, endpoint, deployment string, since time.Time) (target.Figures, error) {
	return d.endpoints().Measured(ctx, t.Name, endpoint, deployment, since)
}

// Changes implements target.Router.
func (d Driver) Changes(ctx context.Context, _ target.Target, endpoint string) ([]target.Change, error) {
	return d.endpoints().Changes(ctx, endpoint)
}

// Keys implements target.Router.
func (d Driver) Keys(ctx context.Context, t target.Target, endpoint string, rotate int) ([2]string, error) {
	return d.endpoints().Keys(ctx, t.Name, endpoint, rotate)
}
