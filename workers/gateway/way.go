package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// way is how an instance is reached.
type way struct {
	transport *http.Transport // of the requests
	prober    *http.Client    // of the gateway's own, each on a fresh connection
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// newWay returns the way to what dial connects to.
func newWay(dial dialer) way {
	return way{
		// Instances may think for long, but must accept a connection soon.
		transport: &http.Transport{
			DialContext:           dial,
			ResponseHeaderTimeout: 5 * time.Minute,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       30 * time.Second,
			DisableCompression:    true, // what the client accepts is between it and the instance
		},
		prober: &http.Client{
			Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true, Proxy: nil},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// direct is the way to all instances on this computer, by their addresses.
var direct = newWay((&net.Dialer{Timeout: dialWithin}).DialContext)

func (i *instance) chooseWay() way {
	if i.of.here() {
		return direct
	}
	return newWay(func(ctx context.Context, network, address string) (net.Conn, error) {
		l, err := i.life()
		if err != nil {
			return nil, err
		}
		conn, err := i.maker.dial(ctx, l)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		return conn, nil
	})
}

// name stands for the instance in the URL of a request: connections are kept by it, and
// those to one start are none to the next.
func (i *instance) name() string {
	if i.of.here() {
		return i.address()
	}
	return fmt.Sprintf("start-%d.instance", i.view().Start)
}
