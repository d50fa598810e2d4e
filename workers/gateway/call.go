package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// call is one request on its way to an instance.
type call struct {
	version *version // in its inflight
	table   *table
	rest    string // the path behind the name of the endpoint
	scores  bool   // it asks for a score, which may be asked for twice
	held    bool   // body is all of its body
	body    []byte // when held
	at      *instance
	sent    int               // to instances that broke off
	failed  map[*version]bool // had nobody to answer

	copied     *shadow
	clock      *time.Timer // ends it
	began      time.Time
	lasted     time.Duration
	status     int  // of the answer; 0: there was none
	whole      bool // the answer has been sent, or was refused in words
	unmeasured bool // the client is to blame
}

// maxSent is how often a request is sent that instances break off: it may be what kills
// them.
const maxSent = 3

// silent drops what a proxy has to say: clients are told, and instances are watched.
var silent = log.New(io.Discard, "", 0)

// rewrite makes the request one for an instance; which, and with which path, is
// decided by RoundTrip.
func (c *call) rewrite(p *httputil.ProxyRequest) {
	p.SetXForwarded()
	p.Out.URL.Scheme, p.Out.URL.Host = "http", "instance"
	if c.held {
		p.Out.ContentLength = int64(len(c.body))
		p.Out.TransferEncoding = nil
	}
}

// RoundTrip sends the request to an instance of the version, and when it has none that
// could answer, to one of another version that has a share.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		resp, again, err := c.ask(r)
		if err == nil || !again || !c.elsewhere() {
			return resp, err
		}
	}
}

// ask sends the request to the instance of the version with the fewest requests. One
// that could not take it is left out, and another is asked. If all fail, again tells
// whether it may be sent to those of another version.
func (c *call) ask(r *http.Request) (resp *http.Response, again bool, err error) {
	tried := map[*instance]bool{}
	for {
		if len(tried) > 0 && !c.version.places.others(tried) {
			// Whether one that broke off is dead is known soon.
			if err := sleep(r.Context(), lookEvery*3/2); err != nil {
				return nil, false, err
			}
			clear(tried)
		}
		if c.at, err = c.version.places.take(r.Context(), tried); err != nil {
			return nil, errors.Is(err, errNoneReady), err
		}
		resp, err := c.at.way.transport.RoundTrip(c.to(r))
		if err == nil {
			return resp, false, nil
		}
		unreached := isDial(err)
		if r.Context().Err() == nil {
			c.at.suspect(unreached)
		}
		tried[c.at] = true
		c.leave()
		if c.sent++; unreached {
			c.sent--
		}
		if r.Context().Err() != nil {
			return nil, false, context.Cause(r.Context())
		}
		if !unreached && (!c.repeatable(r) || c.sent >= maxSent) {
			return nil, false, err
		}
	}
}

// elsewhere moves the request to another version that has a share of the requests and
// was not asked yet. The one that failed is charged with it, so that its figures tell.
func (c *call) elsewhere() bool {
	for _, s := range c.table.seats {
		if s.version == c.version || c.failed[s.version] || !s.places.anyReady() {
			continue
		}
		if c.failed == nil {
			c.failed = map[*version]bool{}
		}
		c.failed[c.version] = true
		c.version.meter.answered(time.Since(c.began), true)
		s.inflight.Add(1)
		c.version.inflight.Add(-1)
		c.version = s.version
		return true
	}
	return false
}

// to returns the request as it is sent to the chosen instance.
func (c *call) to(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.URL.Host, out.Host = c.at.name(), c.at.address()
	path := c.rest
	if c.scores {
		path = c.version.Path
	}
	out.URL.Path, out.URL.RawPath = path, path
	if plain, err := url.PathUnescape(path); err == nil {
		out.URL.Path = plain
	}
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

// answered looks at the answer of an instance before the client gets it.
func (c *call) answered(resp *http.Response) error {
	c.status = resp.StatusCode
	if numbers := reported(resp.Header); numbers != nil {
		c.version.meter.reported(numbers)
	}
	if c.copied != nil {
		c.copied.listen(resp)
	}
	if !c.scores && c.clock != nil {
		c.clock.Stop() // it may be a stream, which takes what it takes
	}
	return nil
}

// took stops the watch: what follows is no part of the answer.
func (c *call) took() {
	if c.lasted == 0 {
		c.lasted = time.Since(c.began)
	}
}

// over counts the request, and takes it off all accounts.
func (c *call) over(client context.Context) {
	c.took()
	c.leave()
	if c.clock != nil {
		c.clock.Stop()
	}
	if c.copied != nil && c.status == 0 {
		close(c.copied.own)
	}
	// Nobody is to blame for a client that did not wait.
	if gone := client.Err() != nil && !c.whole; !gone && !c.unmeasured {
		c.version.meter.answered(c.lasted, c.status == 0 || c.status >= 500 || !c.whole)
	}
	c.version.inflight.Add(-1)
}

// buffers are lent to copy answers.
var buffers bufferPool

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(p []byte) { b.pool.Put(&p) }

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// leave takes the request off the account of its instance.
func (c *call) leave() {
	if c.at != nil {
		c.version.places.leave(c.at)
		c.at = nil
	}
}
