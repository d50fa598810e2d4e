package gateway

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Service is what a Host adds to itself to be a target.Router: the part that is the same
// for all of them. Without a folder it serves nothing.
type Service struct{ folder Folder }

// Serve returns the service of a kind of target by the gateway of a folder. What is
// served is reached through h.
func Serve(f Folder, kind string, h Host) Service {
	f.Hosts = Hosts{kind: h}
	return Service{f}
}

// Serves reports whether there is a gateway.
func (s Service) Serves() bool { return s.folder.Dir != "" }

func (s Service) check(t target.Target) error {
	if s.Serves() {
		return nil
	}
	return fmt.Errorf("nothing serves endpoints for target %q here: %w", t.Name, target.ErrPermanent)
}

// Deploy implements target.Server.
func (s Service) Deploy(ctx context.Context, t target.Target, d target.Deployment, in target.Blobs) error {
	if err := s.check(t); err != nil {
		return err
	}
	return s.folder.Deploy(ctx, t, d, in)
}

// Deployed implements target.Server.
func (s Service) Deployed(ctx context.Context, t target.Target, id string) (target.Rollout, error) {
	if err := s.check(t); err != nil {
		return target.Rollout{}, err
	}
	return s.folder.Deployed(ctx, id)
}

// Withdraw implements target.Server.
func (s Service) Withdraw(ctx context.Context, t target.Target, id string) error {
	if err := s.check(t); err != nil {
		return err
	}
	return s.folder.Withdraw(ctx, id)
}

// Endpoints implements target.Server.
func (s Service) Endpoints(ctx context.Context, t target.Target) ([]target.Endpoint, error) {
	if !s.Serves() {
		return nil, nil
	}
	return s.folder.Endpoints(ctx, t)
}

// ReadEndpoint implements target.Server.
func (s Service) ReadEndpoint(ctx context.Context, t target.Target, name, deployment string, instance int, offset int64, w io.Writer) (int64, error) {
	if err := s.check(t); err != nil {
		return offset, err
	}
	return s.folder.ReadEndpoint(ctx, t.Name, name, deployment, instance, offset, w)
}

// Retire implements target.Server.
func (s Service) Retire(ctx context.Context, t target.Target, name string) error {
	if !s.Serves() {
		return nil
	}
	return s.folder.Retire(ctx, t.Name, name)
}

// Split implements target.Router.
func (s Service) Split(ctx context.Context, t target.Target, split target.Split) error {
	if err := s.check(t); err != nil {
		return err
	}
	return s.folder.Split(ctx, t.Name, split)
}

// Measured implements target.Router.
func (s Service) Measured(ctx context.Context, t target.Target, endpoint, deployment string, since time.Time) (target.Figures, error) {
	if err := s.check(t); err != nil {
		return target.Figures{}, err
	}
	return s.folder.Measured(ctx, t.Name, endpoint, deployment, since)
}

// Changes implements target.Router.
func (s Service) Changes(ctx context.Context, t target.Target, endpoint string) ([]target.Change, error) {
	if !s.Serves() {
		return nil, nil
	}
	return s.folder.Changes(ctx, endpoint)
}

// Keys implements target.Router.
func (s Service) Keys(ctx context.Context, t target.Target, endpoint string, rotate int) ([2]string, error) {
	if err := s.check(t); err != nil {
		return [2]string{}, err
	}
	return s.folder.Keys(ctx, t.Name, endpoint, rotate)
}
