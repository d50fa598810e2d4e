package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Instances of endpoints are jobs: containers of which one port is published, at a port of
// the loopback interface of the engine's machine that the engine chooses. The gateway, on
// this computer, asks them there; so the engine has to be on this computer, too.

var (
	_ target.Router = Driver{}
	_ gateway.Host  = Driver{}
)

const (
	servePort   = 8080 // $PORT in a container, which has all ports to itself
	everywhere  = "0.0.0.0"
	loopback    = "127.0.0.1"
	networkNone = "none"
	networkHost = "host"
)

// Serving is this driver with endpoints, which the gateway of a folder answers for.
func (d Driver) Serving(f gateway.Folder) Driver {
	d.Service = gateway.Serve(f, d.Kind().Name, d)
	return d
}

// Deploy implements target.Server. A tag is looked up once, so that all instances of a
// version are of the same image, whenever they start.
func (d Driver) Deploy(ctx context.Context, t target.Target, wish target.Deployment, in target.Blobs) error {
	err := d.pin(ctx, t, &wish)
	if err != nil {
		return fmt.Errorf("deploy %q: %w", wish.Endpoint, err)
	}
	return d.Service.Deploy(ctx, t, wish, in)
}

func (d Driver) pin(ctx context.Context, t target.Target, wish *target.Deployment) error {
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	name := s.Image
	if e := wish.Environment; e != nil && e.Image != "" {
		name = e.Image
	}
	if e := wish.Environment; name == "" || e != nil && e.Python != nil {
		return nil // it is refused with its reason
	}
	e, err := open(s.address)
	if err != nil {
		return err
	}
	if err := e.near(ctx); err != nil {
		return err
	}
	im, err := e.image(ctx, name, s.pulling())
	if err != nil {
		return err
	}
	pinned := im.digest
	// Not every engine finds an image by the digest that it tells of it.
	if again, err := e.image(ctx, pinned, pulling{when: pullNever}); err != nil || again.id != im.id {
		pinned = im.id
	}
	wish.Environment = &target.Environment{Image: pinned}
	return nil
}

// unequipped is what to do about a deployment that asks for a Python environment.
const unequipped = "all instances of a version must be of one image; use one that has what the model needs, as `environment: { image: … }`"

// unserved says why nobody could ask what runs on a target, as far as its settings tell, and
// what to do; empty when they do not.
func unserved(s settings) string {
	switch host := cmp.Or(s.Host, usualHost()); {
	case s.Network == networkNone:
		return "the target has `network: none`, so that nobody can ask what runs there: leave it out, or name a target of another kind"
	case far(host):
		return fmt.Sprintf("its engine, %s, is on another machine, whose containers can be asked from there only: name a target of kind ssh for that machine, or run amlflow there", host)
	}
	return ""
}

// far reports whether an engine is on another machine, as far as its address tells.
func far(host string) bool {
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "tcp" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

// near refuses an engine on another machine: nobody here could ask what listens there.
func (e *engine) near(ctx context.Context) error {
	if far(e.host) {
		return fmt.Errorf("the container engine at %q is on another machine, and its containers can be asked from there only: deploy on a target of kind ssh, or run amlflow there: %w", e.host, target.ErrPermanent)
	}
	if runtime.GOOS != "linux" || e.isNear.Load() {
		return nil // not on Linux the engine is in a machine of its own, whose ports are those of this computer
	}
	// Podman asks the package manager before it answers, so it is asked once.
	r, err := e.Info(ctx, client.InfoOptions{})
	if err != nil {
		return e.trouble("ask for its name", err)
	}
	here, err := os.Hostname()
	if err != nil {
		return err
	}
	if here == r.Info.Name || r.Info.Name == "" || strings.Contains(r.Info.OperatingSystem, "Docker Desktop") {
		e.isNear.Store(true)
		return nil
	}
	return fmt.Errorf("the container engine at %q is on the machine %q, and this is %q; its containers can be asked from there only: deploy on a target of kind ssh, or run amlflow there: %w", e.host, r.Info.Name, here, target.ErrPermanent)
}

// Vet implements gateway.Host.
func (Driver) Vet(t target.Target, job target.Job) error {
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if s.Network == networkNone && job.Port > 0 {
		return fmt.Errorf("target %q has `network: none`, so that nobody can ask what runs there: leave it out, or deploy on another target: %w", t.Name, target.ErrPermanent)
	}
	if e := job.Environment; job.Port > 0 && e != nil && e.Python != nil {
		return fmt.Errorf("target %q makes Python environments for jobs, and none for what is deployed: %s: %w", t.Name, unequipped, target.ErrPermanent)
	}
	_, _, err = (&submission{target: t, s: s, job: job}).plan()
	return err
}

// Seat implements gateway.Host.
func (Driver) Seat(_ context.Context, t target.Target, _ string, _ int) (gateway.Seat, error) {
	s, err := readSettings(t)
	if err != nil {
		return gateway.Seat{}, err
	}
	seat := gateway.Seat{Target: t, Host: "container", Port: servePort, Listen: everywhere}
	if s.Network == networkHost {
		seat.Host, seat.Port, seat.Listen = "", 20_000+rand.IntN(12_000), loopback
	}
	if s.Pull != pullAlways {
		return seat, nil
	}
	// The image was looked up when it was deployed, and has no tag any more.
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(t.Settings, &all); err != nil {
		return seat, err
	}
	all["pull"] = json.RawMessage(`"` + pullMissing + `"`)
	seat.Target.Settings, err = json.Marshal(all)
	return seat, err
}

// publish has the port of a job reached from the machine of the engine, and from no other.
func (s *submission) publish(c *container.Config, h *container.HostConfig) {
	port, ok := network.PortFrom(uint16(s.job.Port), network.TCP)
	if s.job.Port == 0 || !ok {
		return
	}
	c.Labels[labelPort] = port.String()
	if s.s.Network == networkHost {
		return
	}
	c.ExposedPorts = network.PortSet{port: struct{}{}}
	h.PortBindings = network.PortMap{port: []network.PortBinding{{HostIP: netip.MustParseAddr(loopback)}}}
}

// published are the ports of this computer by which containers are asked, by engine and
// job. A container has its own as long as it runs, and it runs once.
var published sync.Map

// Dial implements gateway.Host.
func (Driver) Dial(ctx context.Context, s gateway.Seat, job string) (net.Conn, error) {
	set, err := readSettings(s.Target)
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(s.Port)
	if set.Network != networkHost {
		if port, err = publishedPort(ctx, set.address, job); err != nil {
			return nil, err
		}
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(loopback, port))
}

func publishedPort(ctx context.Context, a address, job string) (string, error) {
	e, err := open(a)
	if err != nil {
		return "", err
	}
	key := e.host + " " + job
	if port, ok := published.Load(key); ok {
		return port.(string), nil
	}
	f, err := e.find(ctx, job)
	if err != nil {
		return "", err
	}
	if f.box == nil || !running(f.box) || f.box.NetworkSettings == nil {
		return "", fmt.Errorf("its container does not run: %w", syscall.ECONNREFUSED)
	}
	for _, bindings := range f.box.NetworkSettings.Ports {
		for _, b := range bindings {
			if b.HostPort != "" && b.HostPort != "0" {
				published.Store(key, b.HostPort)
				return b.HostPort, nil
			}
		}
	}
	return "", fmt.Errorf("the container engine at %q has not published the port of the container: does its network reach the machine?", e.host)
}
