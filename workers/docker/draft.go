package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// shell runs start.sh and scripts.
const shell = "/bin/sh"

// draft makes a container for the job and fills it. It returns its id, and the name by
// which it may be started once it is elected.
func (s *submission) draft(ctx context.Context) (id, name string, err error) {
	r, granted, err := s.plan()
	if err != nil {
		return "", "", err
	}
	im, err := s.image(ctx, r.Asked, s.s.pulling())
	if err != nil {
		return "", "", err
	}
	r.Image = im.digest
	v, err := s.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", "", s.trouble("ask for its version", err)
	}
	if granted.GPUs > 0 && isPodman(v) && requestGPUs != nil {
		return "", "", errPodmanGPUs
	}
	host, err := s.hostConfig(granted, isPodman(v))
	if err != nil {
		return "", "", err
	}
	env, err := s.environmentOf(im)
	if err != nil {
		return "", "", err
	}
	alone := host // what makes the environment does not see it as a job does
	if env != nil {
		s.path = im.path
		if _, err := s.volume(ctx, environmentName(env.digest), map[string]string{labelEnvironment: env.digest, labelOwner: s.owner}); err != nil {
			return "", "", err
		}
		host.Mounts = append(append([]mount.Mount{}, host.Mounts...), env.mount(true))
	}
	id, name, err = s.create(ctx, r, im, host)
	if err != nil {
		return "", "", err
	}
	has, err := s.hasShell(ctx, id)
	if err == nil && !has {
		r.Bare = true
		if err = s.fitsBare(r.Asked); err == nil && r.GPUs > 0 {
			err = fmt.Errorf("the image %q has no %s, by which a job is told which GPUs it has: use one that has: %w", r.Asked, shell, target.ErrPermanent)
		}
		if err == nil && env != nil {
			err = fmt.Errorf("the image %q has no %s, so that no Python environment can be made in it: use one that has, such as python:3.12-slim: %w", r.Asked, shell, target.ErrPermanent)
		}
		if err == nil {
			id, name, err = s.instead(ctx, id, r, im, host)
		}
	}
	if err == nil {
		err = s.equip(ctx, id, env, im, alone)
	}
	if err == nil {
		err = s.fill(ctx, id, r, im)
	}
	if err == nil && r.Bare {
		err = s.hasProgram(ctx, id, r)
	}
	if err != nil {
		return "", "", errors.Join(err, s.discard(id))
	}
	return id, name, nil
}

// instead makes the container that a bare job needs in place of one that was made for
// a shell. When it cannot, the first one is still there.
func (s *submission) instead(ctx context.Context, old string, r record, im image, host container.HostConfig) (id, name string, err error) {
	id, name, err = s.create(ctx, r, im, host)
	if err != nil {
		return old, "", err
	}
	return id, name, s.drop(ctx, old)
}

// plan says what is known of the job before the engine is asked, and refuses what can
// never run.
func (s *submission) plan() (record, target.Resources, error) {
	j := s.job
	r := record{Outputs: j.Outputs, Timeout: j.Timeout, Grace: j.Grace, Confided: len(j.Secrets) > 0, Asked: s.s.Image, Ranks: j.Ranks(), Log: int64(s.s.Log)}
	refuse := func(format string, args ...any) (record, target.Resources, error) {
		return r, target.Resources{}, fmt.Errorf(format+": %w", append(args, target.ErrPermanent)...)
	}
	if err := j.Check(); err != nil {
		return r, target.Resources{}, err
	}
	if r.Ranks > mostRanks {
		return refuse("it has %d ranks, and one container gets at most %d: ask for fewer nodes or processes", r.Ranks, mostRanks)
	}
	if c := j.Checkpoint; c != nil {
		r.Checkpoint = &target.Checkpoint{Path: path.Clean(c.Path), Keep: c.Keep}
	}
	if len(j.Command) > 0 {
		r.Program = j.Command[0]
	}
	if err := checkVariables(j); err != nil {
		return refuse("%w", err)
	}
	if e := j.Environment; e != nil && e.Python != nil && s.s.Network == networkNone {
		return refuse("target %q has `network: none`, so that no packages can be fetched for a Python environment: use an image that has what the stage needs, as `environment: { image: … }`", s.target.Name)
	} else if e != nil && e.Image != "" {
		r.Asked = e.Image
	}
	if r.Asked == "" {
		return refuse("target %q has no `image`, and the stage names none as `environment: { image: … }`", s.target.Name)
	}
	granted, err := s.s.room().Grant(s.target.Name, j.Needs)
	// All nodes are in the one container.
	n := max(granted.Nodes, 1)
	granted.CPUs, granted.Memory, granted.GPUs = granted.CPUs*float64(n), granted.Memory*int64(n), granted.GPUs*n
	r.Memory = granted.Memory
	if j.Port == 0 && granted.GPUs > 0 { // an instance of an endpoint sees all, and borrows none
		r.GPUs, r.Of = granted.GPUs, s.s.GPUs
	}
	return r, granted, err
}

// hasShell looks into a container that was made.
func (s *submission) hasShell(ctx context.Context, id string) (bool, error) {
	_, err := s.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: shell})
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, s.trouble("look for a shell in the image", err)
}

// create makes a container. Nobody knows of it yet.
func (s *submission) create(ctx context.Context, r record, im image, host container.HostConfig) (id, name string, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", "", err
	}
	config := container.Config{
		Image:       im.id,
		User:        s.s.User,
		WorkingDir:  codeDir,
		Entrypoint:  []string{shell, startFile},
		Cmd:         []string{},
		StopSignal:  "SIGTERM",
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels:      map[string]string{labelJob: s.job.ID, labelOwner: s.owner, labelRecord: string(text)},
	}
	if r.GPUs > 0 {
		config.Labels[labelGPUs] = strconv.Itoa(r.GPUs)
	}
	if r.Bare {
		s.makeBare(&config, &host)
	}
	s.publish(&config, &host)
	name = containerName(s.job.ID, token())
	c, err := s.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: &config, HostConfig: &host})
	if err == nil {
		return c.ID, name, nil
	}
	if r.Bare && strings.Contains(err.Error(), "init") {
		err = fmt.Errorf("%w (images without /bin/sh need the engine's init program: install catatonit for Podman, tini or docker-init for Docker)", err)
	}
	return "", "", s.trouble("make the container", err)
}

// hostConfig is what the engine's machine gives the job.
func (s *submission) hostConfig(granted target.Resources, podman bool) (container.HostConfig, error) {
	mounts, err := s.s.mounts()
	if err != nil {
		return container.HostConfig{}, err
	}
	folder := mount.Mount{Type: mount.TypeVolume, Target: root, VolumeOptions: &mount.VolumeOptions{Labels: map[string]string{labelJob: s.job.ID, labelOwner: s.owner}}}
	h := container.HostConfig{
		NetworkMode:    container.NetworkMode(s.s.Network),
		ReadonlyRootfs: s.s.ReadOnly,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
		// What programs write there although $TMPDIR is elsewhere.
		Tmpfs:         map[string]string{"/tmp": "rw,exec,nosuid,nodev,mode=1777"},
		ShmSize:       int64(s.s.Shm),
		Mounts:        append(mounts, folder),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		LogConfig:     logConfig(podman),
		Resources: container.Resources{
			NanoCPUs: int64(granted.CPUs * 1e9),
			Memory:   granted.Memory,
			// Memory and swap together: no swap beyond the memory.
			MemorySwap: granted.Memory,
			PidsLimit:  &s.s.Pids,
		},
	}
	if granted.GPUs > 0 && requestGPUs != nil {
		h.DeviceRequests = requestGPUs(s.s.GPUs)
	}
	return h, nil
}

// requestGPUs asks for the first n GPUs of the engine's machine. Which of them are its own the
// job is told when it starts: see gpus.go. Tests leave them out.
var requestGPUs = func(n int) []container.DeviceRequest {
	var ids []string
	for gpu := range n {
		ids = append(ids, strconv.Itoa(gpu))
	}
	return []container.DeviceRequest{{DeviceIDs: ids, Capabilities: [][]string{{"gpu"}}}}
}

// logConfig has the engine keep what a container writes as it is, whatever it does with
// those of others. Docker's own default would turn bytes that are no text into question
// marks; its other driver keeps 100 MB unless it is told otherwise.
func logConfig(podman bool) container.LogConfig {
	if podman {
		return container.LogConfig{Type: "k8s-file"}
	}
	return container.LogConfig{Type: "local", Config: map[string]string{"max-size": "1000g", "max-file": "1", "compress": "false"}}
}

var errPodmanGPUs = fmt.Errorf("through its Docker API Podman would leave out the GPUs without a word: use Docker with the NVIDIA Container Toolkit: %w", target.ErrPermanent)
