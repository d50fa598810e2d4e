package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

const (
	bodyLimit = 32 << 20 // bytes of a request
	holdLimit = 1 << 20  // bytes of a request that are held, to send them again
)

// handler is all that a client can reach.
func (g *gateway) handler() http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "a page of another origin may not send requests here")
	}))
	return onlyLocalNames(guard.Handler(http.HandlerFunc(g.handle)))
}

// onlyLocalNames refuses requests whose Host is not a name of this computer:
// a page can make its own name point to 127.0.0.1 (DNS rebinding).
func onlyLocalNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		switch strings.ToLower(strings.Trim(host, "[]")) {
		case "127.0.0.1", "localhost", "::1":
			next.ServeHTTP(w, r)
		default:
			refuse(w, http.StatusForbidden, fmt.Sprintf("the host %.80q is not served here: ask 127.0.0.1 or localhost", r.Host))
		}
	})
}

// handle finds the endpoint of /NAME/REST. Names are only ever looked up.
func (g *gateway) handle(w http.ResponseWriter, r *http.Request) {
	name, rest, below := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	routes := *g.front.routes.Load()
	e := routes[name]
	switch {
	case name == "" && !below:
		g.index(w, r)
	case slices.Contains(strings.Split(r.URL.Path, "/"), ".."):
		refuse(w, http.StatusBadRequest, `a path may not hold ".."`)
	case e == nil:
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no endpoint %.80q; there is %s", name, listed(routes)))
	case !below && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		g.show(w, r, name)
	default:
		g.forward(w, r, e, rest, below)
	}
}

func listed(routes map[string]*endpoint) string {
	if len(routes) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(routes)), ", ")
}

func (g *gateway) index(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "POST to /NAME of an endpoint")
		return
	}
	all, err := g.list(func(deployment) bool { return true })
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answers := []summary{}
	for _, e := range all {
		answers = append(answers, summarize(e))
	}
	write(w, http.StatusOK, map[string]any{"endpoints": answers})
}

// summary is what a client is told about an endpoint.
type summary struct {
	Endpoint   string       `json:"endpoint"`
	State      target.State `json:"state"`
	Deployment string       `json:"deployment,omitempty"`
	URL        string       `json:"url"`
	Reason     string       `json:"reason,omitempty"`
	Ask        string       `json:"ask"`
}

func summarize(e target.Endpoint) summary {
	ask := fmt.Sprintf("curl -H 'Content-Type: application/json' --data @request.json %s", e.URL)
	return summary{Endpoint: e.Name, State: e.State, Deployment: e.Live, URL: e.URL, Reason: e.Reason, Ask: ask}
}

func (g *gateway) show(w http.ResponseWriter, _ *http.Request, name string) {
	all, err := g.list(func(d deployment) bool { return d.Endpoint == name })
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, err.Error())
	case len(all) == 0:
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no endpoint %q any more", name))
	default:
		write(w, http.StatusOK, summarize(all[0]))
	}
}

// forward sends the request to an instance of the version whose turn it is.
func (g *gateway) forward(w http.ResponseWriter, r *http.Request, e *endpoint, rest string, below bool) {
	v, t := e.acquire(r)
	if v == nil {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("no deployment of endpoint %q is live yet", e.name))
		return
	}
	if t.guarded && !v.asksHealth(r, rest) {
		if !t.keys.open(r.Header.Get("Authorization")) {
			v.inflight.Add(-1)
			challenge(w, r, e.name)
			return
		}
		r.Header.Del("Authorization") // it is for the gateway, and no business of a model
	}
	c := &call{version: v, table: t, rest: "/" + rest, scores: !below || rest == "score", began: time.Now()}
	defer c.over(r.Context())
	if below && rest == openAPI && r.Method == http.MethodGet && v.describes() {
		c.unmeasured = true
		g.describe(w, r, v, t)
		return
	}
	if err := c.hold(w, r); err != nil {
		c.unmeasured = true
		refuseError(w, err)
		return
	}
	c.shadow(r)
	ctx, late := context.WithCancelCause(r.Context())
	defer late(nil)
	c.clock = time.AfterFunc(v.timeout(), func() { late(errLate) })
	proxy := httputil.ReverseProxy{
		Rewrite:        c.rewrite,
		Transport:      c,
		FlushInterval:  -1, // answers may be streams
		ModifyResponse: c.answered,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, err error) { c.refuse(w, err) },
		ErrorLog:       silent,
		BufferPool:     &buffers,
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
	c.whole = true
}

// errLate ends a request that takes too long.
var errLate = errors.New("the answer took too long")

// refuse answers in place of the instances.
func (c *call) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errFull):
		c.unmeasured = true
		c.version.meter.rejected()
	case errors.Is(err, errLate):
		err = fmt.Errorf("%w: there was none within %v", errLate, c.version.timeout())
	}
	c.whole = true
	refuseError(w, err)
}

// asksHealth reports whether the request asks how the endpoint is, which needs no key.
func (v *version) asksHealth(r *http.Request, rest string) bool {
	return "/"+rest == v.Health && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// challenge refuses a request that has no key, or a wrong one (RFC 6750, section 3).
func challenge(w http.ResponseWriter, r *http.Request, name string) {
	value := fmt.Sprintf("Bearer realm=%q", name)
	words := fmt.Sprintf("endpoint %q asks for a key: send the header \"Authorization: Bearer KEY\"", name)
	if r.Header.Get("Authorization") != "" {
		value += `, error="invalid_token"`
		words = fmt.Sprintf("this is no key of endpoint %q, or no longer: send the header \"Authorization: Bearer KEY\" with one of its two keys", name)
	}
	w.Header().Set("WWW-Authenticate", value)
	refuse(w, http.StatusUnauthorized, words)
}

// hold reads a small body whole, so that it can be sent to a second instance.
func (c *call) hold(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > bodyLimit {
		return &http.MaxBytesError{Limit: bodyLimit}
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	start, err := io.ReadAll(io.LimitReader(r.Body, holdLimit+1))
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	if len(start) > holdLimit {
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(start), r.Body))
		return nil
	}
	c.body, c.held = start, true
	r.Body, r.ContentLength = http.NoBody, int64(len(start))
	return nil
}

var errBody = errors.New("the body of the request broke off")

// refuseError answers with the words and the status that fit the error.
func refuseError(w http.ResponseWriter, err error) {
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body may have at most %d bytes", long.Limit))
	case errors.Is(err, errBody):
		refuse(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, errFull):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, err.Error())
	case errors.Is(err, errLate):
		refuse(w, http.StatusGatewayTimeout, err.Error())
	case errors.Is(err, errNoneReady):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, err.Error())
	default:
		refuse(w, http.StatusBadGateway, "the instance broke off: "+err.Error())
	}
}

func refuse(w http.ResponseWriter, status int, words string) {
	write(w, status, map[string]string{"error": words})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client may have gone
}
