package ssh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
)

// Instances of endpoints are jobs: processes in folders of their hosts, which listen at a
// port of the loopback interface there. The gateway, on this computer, talks to them
// through the connection to the host. While that is cut they live on.

var (
	_ target.Router = Driver{}
	_ gateway.Host  = Driver{}
)

// Serving is this driver with endpoints, which the gateway of a folder answers for.
func (d Driver) Serving(f gateway.Folder) Driver {
	d.Service = gateway.Serve(f, d.Kind().Name, d)
	return d
}

// Seat implements gateway.Host. The order of the hosts follows from the id of the
// deployment, so that the deployments of a target do not all begin with the first.
func (d Driver) Seat(ctx context.Context, t target.Target, deployment string, n int) (gateway.Seat, error) {
	hosts, err := d.place(t, deployment)
	if err != nil {
		return gateway.Seat{}, err
	}
	var all error
	for k := range hosts {
		h := hosts[(n+k)%len(hosts)]
		port, err := h.Port(ctx, somePort())
		if err != nil {
			all = errors.Join(all, h.blame(err))
			continue
		}
		narrow, err := only(t, h.name)
		return gateway.Seat{Target: narrow, Host: bare(h.name), Port: port, Listen: "127.0.0.1"}, err
	}
	return gateway.Seat{}, all
}

// bare is the name of a host without user and port.
func bare(name string) string {
	name = name[strings.LastIndexByte(name, '@')+1:]
	if host, _, err := net.SplitHostPort(name); err == nil {
		return host
	}
	return name
}

// only is the target with no machine but this one.
func only(t target.Target, host string) (target.Target, error) {
	all := map[string]json.RawMessage{}
	err := json.Unmarshal(t.Settings, &all)
	if err != nil {
		return t, err
	}
	delete(all, "hosts")
	if all["host"], err = json.Marshal(host); err != nil {
		return t, err
	}
	t.Settings, err = json.Marshal(all)
	return t, err
}

// Dial implements gateway.Host.
func (d Driver) Dial(ctx context.Context, s gateway.Seat, _ string) (net.Conn, error) {
	hosts, err := d.hosts(s.Target)
	if err != nil {
		return nil, err
	}
	return hosts[0].link.reach(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
}

// reach connects to an address as the host sees it.
func (l *link) reach(ctx context.Context, address string) (net.Conn, error) {
	for try := 0; ; try++ {
		client, fresh, err := l.connected(ctx)
		if err != nil {
			return nil, err
		}
		conn, err := client.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn, nil
		}
		var refused *ssh.OpenChannelError
		switch {
		case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
			return nil, fmt.Errorf("%s lets nobody reach what listens there: set AllowTcpForwarding to local or yes for this user in its sshd_config: %w", l.way.last(), err)
		case errors.As(err, &refused):
			return nil, fmt.Errorf("%s: %w: %w", l.way.last(), err, syscall.ECONNREFUSED)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s does not answer: %w: %w", l.way.last(), context.Cause(ctx), target.ErrUnreachable)
		}
		l.forget(client)
		if fresh || try > 0 {
			return nil, l.explain(err)
		}
	}
}
