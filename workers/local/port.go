package local

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports for jobs, below those that the system hands out by itself.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// freePorts finds n ports in a row that no one listens on, and returns the first, so
// that they are likely to be free still when the ranks ask for them.
func freePorts(n int) (int, error) {
	var err error
	for range 100 {
		first := firstPort + rand.IntN(lastPort-firstPort-n)
		if err = tryPorts(first, n); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("find %d free ports for MASTER_PORT: %w", n, err)
}

func tryPorts(first, n int) error {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort(masterAddress, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
