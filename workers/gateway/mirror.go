package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	maxCopies  = 64      // under way to one mirror; what is more is left out
	copyLimit  = 1 << 20 // bytes of an answer that are compared
	copyWithin = time.Minute
)

// shadow is the copy of a request that a mirror gets. The client never waits for it, and
// never sees what comes of it.
type shadow struct {
	mirror    *version
	tolerance float64
	own       chan answer // what the client got; closed without one if nothing is to compare
}

// answer is what is compared.
type answer struct {
	status int
	body   []byte
	whole  bool
}

// shadow sends a copy to the mirror, if this request is one of those to be copied.
func (c *call) shadow(r *http.Request) {
	t := c.table
	if t.mirror == nil || !c.held || !c.scores || !t.copies() {
		return
	}
	m := t.mirror.version
	if m.copies.Add(1) > maxCopies {
		m.copies.Add(-1)
		return
	}
	m.inflight.Add(1)
	s := &shadow{mirror: m, tolerance: t.split.Tolerance, own: make(chan answer, 1)}
	c.copied = s
	twin := &call{version: m, table: &table{}, rest: c.rest, scores: true, held: true, body: c.body, began: time.Now()}
	// The context of the request ends with it; the mirror may take longer.
	out := r.Clone(context.WithoutCancel(r.Context()))
	go func() {
		defer m.copies.Add(-1)
		s.ask(twin, out)
	}()
}

func (s *shadow) ask(c *call, r *http.Request) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), min(copyWithin, s.mirror.timeout()), errLate)
	defer cancel()
	defer c.over(context.WithoutCancel(ctx)) // being late is the mirror's fault
	theirs, err := c.fetch(r.WithContext(ctx))
	switch {
	case errors.Is(err, errFull):
		s.mirror.meter.rejected()
		c.unmeasured = true
		return
	case err != nil:
		return
	}
	ours, ok := <-s.own
	if !ok || !ours.whole || !theirs.whole || ours.status >= 500 || theirs.status >= 500 {
		return
	}
	s.mirror.meter.compared(ours.status == theirs.status && sameAnswer(ours.body, theirs.body, s.tolerance))
}

// fetch asks an instance and reads the answer.
func (c *call) fetch(r *http.Request) (a answer, err error) {
	r.RequestURI = ""
	r.URL.Scheme, r.URL.Host = "http", "instance"
	r.ContentLength, r.TransferEncoding = int64(len(c.body)), nil
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Proxy-Connection", "Transfer-Encoding"} {
		r.Header.Del(name)
	}
	resp, _, err := c.ask(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if err := c.answered(resp); err != nil {
		return a, err
	}
	a.status = resp.StatusCode
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, copyLimit+1))
	a.whole = err == nil && len(a.body) <= copyLimit
	c.took()
	c.whole = err == nil
	return a, err
}

// listen keeps the answer that the client gets for the comparison.
func (s *shadow) listen(resp *http.Response) {
	resp.Body = &overheard{ReadCloser: resp.Body, a: answer{status: resp.StatusCode}, to: s.own}
}

// overheard is a body of which a copy is kept while it is read.
type overheard struct {
	io.ReadCloser
	a    answer
	kept bytes.Buffer
	to   chan answer
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if o.kept.Len() <= copyLimit {
		o.kept.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		o.a.whole = o.kept.Len() <= copyLimit
	}
	return n, err
}

func (o *overheard) Close() error {
	if o.to != nil {
		o.a.body = o.kept.Bytes()
		o.to <- o.a
		o.to = nil
	}
	return o.ReadCloser.Close()
}
