package docker

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// An image without a shell, such as one FROM scratch with a static binary, runs a
// command without start.sh. What the API gives is less: variables are text that anybody
// can read who may talk to the engine, and the engine reads standard output and standard
// error from two pipes.

// fitsBare refuses a job that needs more than that.
func (s *submission) fitsBare(image string) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("the image %q has no %s: "+format+": %w", append(append([]any{image, shell}, args...), target.ErrPermanent)...)
	}
	if s.job.Script != "" {
		return refuse("it cannot run a script: use an image with a shell, or say `command` in place of `run`")
	}
	if s.job.Ranks() > 1 {
		return refuse("it cannot start %d processes: use an image with a shell", s.job.Ranks())
	}
	if len(s.job.Secrets) > 0 {
		return refuse("secrets reach a program through a shell only, because the engine would keep and show them otherwise: use an image with a shell, such as an Alpine or distroless debug one")
	}
	for name, value := range s.job.Env {
		if !utf8.ValidString(value) {
			return refuse("the variable %q is no text in UTF-8, and only a shell can pass on other bytes", name)
		}
	}
	return nil
}

// hasProgram looks for a program that is named by its path. Init processes do not agree
// on what they say when there is none.
func (s *submission) hasProgram(ctx context.Context, id string, r record) error {
	if !strings.Contains(r.Program, "/") {
		return nil
	}
	where := r.Program
	if !path.IsAbs(where) {
		where = path.Join(codeDir, where)
	}
	_, err := s.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: where})
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%s: %w", r.whyUnstarted(127), target.ErrPermanent)
	}
	return s.trouble("look for the program", err)
}

// makeBare has the container run the command itself, below an init process, because for
// process 1 no signal has its default action.
func (s *submission) makeBare(c *container.Config, h *container.HostConfig) {
	yes := true
	h.Init = &yes
	c.Entrypoint, c.Env = s.job.Command, variables(s.environ(0))
}
