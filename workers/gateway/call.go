package gateway

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// call is one request on its way to an instance.
type call struct {
	version *version
	scores  bool   // it asks for a score, which may be asked for twice
	held    bool   // body is all of its body
	body    []byte // when held
	at      *instance
}

var errNoneReady = errors.New("no instance is ready; it is being started again")

// silent drops what a proxy has to say: clients are told, and instances are watched.
var silent = log.New(io.Discard, "", 0)

// transport is how instances are reached. They may think for long, but must
// accept a connection soon.
var transport = &http.Transport{
	DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	ResponseHeaderTimeout: 5 * time.Minute,
	MaxIdleConnsPerHost:   64,
	IdleConnTimeout:       30 * time.Second,
	DisableCompression:    true, // what the client accepts is between it and the instance
}

// rewrite makes the request one for the path of an instance; which instance is
// decided by RoundTrip.
func (c *call) rewrite(p *httputil.ProxyRequest, path string) {
	p.SetXForwarded()
	out := p.Out.URL
	out.Scheme, out.Host = "http", "instance"
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	out.Path, out.RawPath = plain, path
	if c.held {
		p.Out.ContentLength = int64(len(c.body))
		p.Out.TransferEncoding = nil
	}
}

// RoundTrip sends the request to the instance with the fewest requests. One
// that could not take it is left out, and another is asked.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	tried := map[*instance]bool{}
	last := errNoneReady
	for {
		if c.at = c.version.pick(tried); c.at == nil {
			return nil, last
		}
		resp, err := transport.RoundTrip(c.to(r))
		if err == nil {
			return resp, nil
		}
		unreached := isDial(err)
		if r.Context().Err() == nil {
			c.at.suspect(unreached)
		}
		tried[c.at] = true
		c.leave()
		if r.Context().Err() != nil || !unreached && !c.repeatable(r) {
			return nil, err
		}
		if last = err; unreached {
			last = errNoneReady
		}
	}
}

// to returns the request as it is sent to the chosen instance.
func (c *call) to(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.URL.Host = c.at.address()
	out.Host = out.URL.Host
	switch {
	case c.held && len(c.body) > 0:
		out.Body = io.NopCloser(bytes.NewReader(c.body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.body)), nil }
	case c.held:
		out.Body = http.NoBody
	default:
		// A dial that fails closes the body unread; the next one needs it.
		out.Body = io.NopCloser(r.Body)
	}
	return out
}

// repeatable reports whether an instance that broke off before it answered may
// have begun the work, and the work may yet be done twice.
func (c *call) repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return c.held
	}
	return c.held && c.scores
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// pick chooses the ready instance that answers the fewest requests, and counts
// this one there.
func (v *version) pick(without map[*instance]bool) *instance {
	var best *instance
	turn := int(v.turns.Add(1))
	for n := range v.instances {
		i := v.instances[(turn+n)%len(v.instances)] // the first of equals takes turns
		if without[i] || !i.ready() {
			continue
		}
		if best == nil || i.pending.Load() < best.pending.Load() {
			best = i
		}
	}
	if best != nil {
		best.pending.Add(1)
	}
	return best
}

// leave takes the request off the account of its instance.
func (c *call) leave() {
	if c.at != nil {
		c.at.pending.Add(-1)
		c.at = nil
	}
}
