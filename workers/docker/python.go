package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// An environment of Python is a volume of the engine, made once for the same image and the
// same requirements, whoever asks for it:
//
//	volume amlflow-env-<digest>            venv/ and, written last, made; at pythonDir of jobs, read-only
//	container amlflow-env-<digest>-making  runs python.sh, which fills it. The engine gives a name once,
//	                                       so that one makes it, and it goes on whoever dies
const (
	labelEnvironment = "amlflow.environment" // of both: the digest

	pythonDir = "/amlflow-python"
	venvDir   = pythonDir + "/venv"
	madeFile  = pythonDir + "/made"
	listFile  = root + "/list"
)

//go:embed python.sh
var pythonScript []byte

func environmentName(digest string) string { return "amlflow-env-" + digest }

// environment is one of Python that a job asks for.
type environment struct {
	target.Python
	lines  []string
	digest string
}

// environmentOf says which environment the job asks for, with an image; nil: none.
func (s *submission) environmentOf(im image) (*environment, error) {
	if s.job.Environment == nil || s.job.Environment.Python == nil {
		return nil, nil
	}
	p := *s.job.Environment.Python
	lines, err := pyenv.Lines(p)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(struct {
		Format  int
		Image   string
		Version string
		Lines   []string
	}{1, im.id, p.Version, lines})
	if err != nil {
		return nil, err
	}
	return &environment{Python: p, lines: lines, digest: fmt.Sprintf("%x", sha256.Sum256(text))[:32]}, nil
}

// mount has a container find the environment.
func (e *environment) mount(readOnly bool) mount.Mount {
	return mount.Mount{Type: mount.TypeVolume, Source: environmentName(e.digest), Target: pythonDir, ReadOnly: readOnly}
}

// equip makes the environment that a container finds, unless it is there.
func (s *submission) equip(ctx context.Context, id string, env *environment, im image, host container.HostConfig) error {
	if env == nil {
		return nil
	}
	leave, err := enter(ctx, s.host+" ENV "+env.digest)
	if err != nil {
		return err
	}
	defer leave()
	for range most {
		made, err := s.has(ctx, id, madeFile, record{})
		if made || err != nil {
			return err
		}
		if err := s.makeEnvironment(ctx, env, im, host); err != nil {
			return err
		}
	}
	return fmt.Errorf("the Python environment (%s) was made, and is not there: does somebody remove the volume %s?", pyenv.Name(env.Python), environmentName(env.digest))
}

// makeEnvironment has one container make an environment, this one's or another's, and waits
// for its end.
func (s *submission) makeEnvironment(ctx context.Context, env *environment, im image, host container.HostConfig) error {
	name := environmentName(env.digest) + "-making"
	id, err := s.maker(ctx, name, env, im, host)
	if err != nil || id == "" {
		return err
	}
	for began := time.Now(); ; {
		box, err := s.inspect(ctx, id)
		if err != nil || box == nil {
			return err // another has seen its end
		}
		switch {
		case started(box) && !running(box):
			said := s.lastWords(ctx, id)
			if err := s.drop(ctx, id); err != nil {
				return err
			}
			return env.outcome(box.State.ExitCode, said, im)
		case !started(box) && time.Since(began) > forsaken:
			return s.drop(ctx, id) // whoever made it has died before it was filled
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("make the Python environment (%s): %w", pyenv.Name(env.Python), context.Cause(ctx))
		}
	}
}

// forsaken is after how long a container that is to make an environment and does not start
// is taken for that of a process that died.
const forsaken = time.Minute

// maker begins to make an environment, or finds the container that does. It returns "" when
// it has ended meanwhile.
func (s *submission) maker(ctx context.Context, name string, env *environment, im image, host container.HostConfig) (string, error) {
	host.Mounts = append(append([]mount.Mount{}, host.Mounts...), env.mount(false))
	host.DeviceRequests, host.PortBindings = nil, nil
	config := container.Config{
		Image: im.id, User: "0", WorkingDir: "/", Entrypoint: []string{shell, startFile}, Cmd: []string{},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels:      map[string]string{labelEnvironment: env.digest},
	}
	c, err := s.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: &config, HostConfig: &host})
	if err != nil {
		// Podman has no code of its own for a name that is taken.
		box, looked := s.inspect(ctx, name)
		if looked != nil {
			return "", looked
		}
		if box == nil && (errdefs.IsConflict(err) || strings.Contains(err.Error(), "in use")) {
			return "", nil
		}
		if box == nil {
			return "", s.trouble("make the container that makes the Python environment", err)
		}
		return box.ID, nil
	}
	err = s.send(ctx, c.ID, func(w *tar.Writer) error {
		var list strings.Builder
		for _, l := range env.lines {
			list.WriteString(l + "\n")
		}
		if err := addFile(w, listFile, readMode, []byte(list.String())); err != nil {
			return err
		}
		return addFile(w, startFile, readMode, env.script())
	})
	if err == nil {
		_, err = s.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
		err = s.trouble("start to make the Python environment", err)
	}
	if err != nil {
		return "", errors.Join(err, s.discard(c.ID))
	}
	return c.ID, nil
}

// pipNames are the variables of this process that tell pip where packages are. They may hold
// passwords, so that they are in no variable of the container.
var pipNames = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",
	"PIP_PRE", "PIP_PREFER_BINARY", "PIP_ONLY_BINARY", "PIP_NO_BINARY",
}

// script is python.sh with what it is to make.
func (e *environment) script() []byte {
	var b bytes.Buffer
	for _, name := range pipNames {
		if value, ok := os.LookupEnv(name); ok {
			fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
		}
	}
	b.WriteString("export PIP_USER=0 GIT_TERMINAL_PROMPT=0\n")
	fmt.Fprintf(&b, "at=%s version=%s names=%s\n", pythonDir, quote(e.Version), quote(strings.Join(pyenv.Names(e.Version), " ")))
	b.Write(pythonScript)
	return b.Bytes()
}

// lastWords is the end of what a container has said.
func (e *engine) lastWords(ctx context.Context, container string) string {
	log, err := e.engineLog(ctx, container)
	if err != nil {
		return ""
	}
	defer log.Close()
	const most = 64 << 10
	text, _ := io.ReadAll(io.LimitReader(log, 16<<20))
	return strings.ToValidUTF8(string(text[max(0, len(text)-most):]), "\uFFFD")
}

// outcome says why an environment could not be made; nil: it was.
func (e *environment) outcome(code int, said string, im image) error {
	if code == 0 {
		return nil
	}
	said = strings.TrimSpace(said)
	words := said
	if i := strings.LastIndexByte(said, '\n'); i >= 0 {
		said, words = said[:i], said[i+1:]
	} else {
		said = ""
	}
	f := strings.Fields(words)
	if len(f) < 4 || f[0] != "none" && f[0] != "venv" && f[0] != "pip" {
		return fmt.Errorf("the Python environment (%s) could not be made in the image %q: its container ended with exit code %d: %.300s", pyenv.Name(e.Python), im.digest, code, words)
	}
	if f[0] == "none" {
		if there := strings.Join(f[3:], ", "); there != "-" {
			return fmt.Errorf("there is no Python %s in the image %q, only %s: use another image, or ask for one of these as `version`: %w", e.Version, im.digest, there, target.ErrPermanent)
		}
		return fmt.Errorf("there is no python3 in the image %q: use one that has it, such as python:3.12-slim: %w", im.digest, target.ErrPermanent)
	}
	argv := []string{"python3", "-m", "venv"}
	if f[0] == "pip" {
		argv = []string{"python3", "-m", "pip", "install"}
	}
	text, mayPass := pyenv.Explain(pyenv.Name(e.Python), pyenv.Interpreter{Path: f[2] + " of the image", Version: f[3]}, argv, "exit status "+f[1], said)
	if mayPass {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %w", text, target.ErrPermanent)
}
