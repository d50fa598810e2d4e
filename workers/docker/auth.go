package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"
)

// dockerHub is how the file of logins calls the registry of names without one.
const dockerHub = "https://index.docker.io/v1/"

// login is what a registry wants to be told.
type login struct {
	User     string          `json:"user"`
	Password secrets.Setting `json:"password"`
}

// auth returns the login for the registry of an image as the API wants it: the one that
// the target names, else what `docker login` has left.
func (p pulling) auth(ctx context.Context, image string) (string, error) {
	registry := registryOf(image)
	for name, l := range p.logins {
		if name != registry && (registry != dockerHub || name != "docker.io") {
			continue
		}
		password, err := l.Password.Fetch(ctx, fmt.Sprintf("password of %q for the registry %q", l.User, name))
		if err != nil {
			return "", err
		}
		header, err := json.Marshal(map[string]string{"username": l.User, "password": password, "serveraddress": registry})
		return base64.URLEncoding.EncodeToString(header), err
	}
	return registryAuth(image)
}

// registryAuth returns what `docker login` wrote to config.json of $DOCKER_CONFIG or
// ~/.docker about the registry of an image. It is empty when there is none, and then the
// engine's own logins count, if it has some.
func registryAuth(image string) (string, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil //nolint:nilerr // nobody's logins are none
		}
		dir = filepath.Join(home, ".docker")
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the logins of registries: %w", err)
	}
	var file struct {
		Auths map[string]struct{ Auth, IdentityToken string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return "", fmt.Errorf("read the logins of registries in %q: %w: %w", path, err, target.ErrPermanent)
	}
	registry := registryOf(image)
	login, ok := file.Auths[registry]
	if !ok || login.Auth == "" {
		return "", nil
	}
	plain, err := base64.StdEncoding.DecodeString(login.Auth)
	user, password, found := strings.Cut(string(plain), ":")
	if err != nil || !found {
		return "", fmt.Errorf("the login for %q in %q is damaged: log in again: %w", registry, path, target.ErrPermanent)
	}
	header, err := json.Marshal(map[string]string{"username": user, "password": password, "identitytoken": login.IdentityToken, "serveraddress": registry})
	return base64.URLEncoding.EncodeToString(header), err
}

// registryOf is the part of an image's name that says where it comes from: what is
// before the first slash if that looks like a host.
func registryOf(image string) string {
	first, _, more := strings.Cut(image, "/")
	if !more || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return dockerHub
	}
	return first
}
