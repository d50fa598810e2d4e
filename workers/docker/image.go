package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// image is a container image that the engine has.
type image struct {
	id     string   // what a container is made of, whatever the name comes to mean
	digest string   // how a person finds the same again: NAME@sha256:… where a registry knows it, else the id
	env    []string // the names of the variables that it sets
	path   string   // its PATH, or that of engines
}

// pulling is how images are fetched.
type pulling struct {
	when   string // a pull policy
	logins map[string]login
}

func (s settings) pulling() pulling { return pulling{s.Pull, s.Logins} }

// image finds an image by its name, and fetches it as p says.
func (e *engine) image(ctx context.Context, name string, p pulling) (image, error) {
	if p.when == pullAlways {
		if err := e.pull(ctx, name, p); err != nil {
			return image{}, err
		}
	}
	r, err := e.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) && p.when == pullMissing {
		if err := e.pull(ctx, name, p); err != nil {
			return image{}, err
		}
		r, err = e.ImageInspect(ctx, name)
	}
	switch {
	case errdefs.IsNotFound(err):
		return image{}, fmt.Errorf("the container engine at %q does not have the image %q, and `pull` of the target is %q: fetch it, or say `pull: missing`: %w", e.host, name, p.when, target.ErrPermanent)
	case err != nil && strings.Contains(err.Error(), "invalid reference"): // for which Podman has no code of its own
		return image{}, fmt.Errorf("%q is no name of an image: write one such as python:3.12-slim: %w: %w", name, err, target.ErrPermanent)
	case err != nil:
		return image{}, e.trouble(fmt.Sprintf("look at the image %q", name), err)
	}
	im := image{id: r.ID, digest: digest(r.ID, name, r.RepoDigests), path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if r.Config != nil {
		for _, kv := range r.Config.Env {
			variable, value, _ := strings.Cut(kv, "=")
			im.env = append(im.env, variable)
			if variable == "PATH" && value != "" {
				im.path = value
			}
		}
	}
	return im, nil
}

// digest chooses the digest whose repository is the one that was asked for.
func digest(id, name string, known []string) string {
	if strings.Contains(name, "@") {
		return name // it was asked for by its digest, which an engine may forget with the tag
	}
	slices.Sort(known)
	for _, d := range known {
		repository, _, _ := strings.Cut(d, "@")
		if name == d || name == repository || strings.HasPrefix(name, repository+":") {
			return d
		}
	}
	if len(known) > 0 {
		return known[0]
	}
	return id
}

// pull fetches an image. It takes as long as that takes.
func (e *engine) pull(ctx context.Context, name string, p pulling) error {
	auth, err := p.auth(ctx, name)
	if err != nil {
		return err
	}
	r, err := e.ImagePull(ctx, name, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		err = r.Wait(ctx)
	}
	if err != nil && (errdefs.IsNotFound(err) || refusedBy(err.Error())) {
		return fmt.Errorf("pull the image %q: is the name right, and is there a login for its registry? %w: %w", name, err, target.ErrPermanent)
	}
	return e.trouble(fmt.Sprintf("pull the image %q", name), err)
}

// refusedBy reads the words of a registry, which engines pass on in the stream of a
// pull without a code.
func refusedBy(words string) bool {
	for _, w := range []string{"manifest unknown", "not found", "denied", "unauthorized", "no basic auth credentials", "authentication required", "invalid reference", "no matching manifest"} {
		if strings.Contains(strings.ToLower(words), w) {
			return true
		}
	}
	return false
}
