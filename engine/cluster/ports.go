//go:build !slim

package cluster

import (
	"errors"
	"net"
	"strconv"
	"syscall"

	"go.temporal.io/server/common/primitives"
)

const (
	loopback = "127.0.0.1"
	// The server opens its ports itself, so another process may take one in the moment between our look and its; then we look again.
	portAttempts = 5
)

// ports are where the services listen.
type ports map[primitives.ServiceName]int

func (p ports) address(s primitives.ServiceName) string {
	return net.JoinHostPort(loopback, strconv.Itoa(p[s]))
}

func (p ports) frontend() string { return p.address(primitives.FrontendService) }

// freePorts finds one for each service. All are held at once, so that they differ, and given free together.
func freePorts() (ports, error) {
	found := ports{}
	for _, s := range []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		l, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		found[s] = l.Addr().(*net.TCPAddr).Port
	}
	return found, nil
}

func isPortTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
