package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"
)

const (
	probeTimeout = 5 * time.Second // of one look at the health path
	sampleLimit  = 1 << 20         // bytes of an answer to the sample that are read
	answerLimit  = 64 << 10        // bytes of it that are kept in the record
)

// probe asks for the health path once; nil means that it answered 200.
func (i *instance) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := i.request(ctx, http.MethodGet, i.of.Health, nil)
	if err != nil {
		return err
	}
	resp, err := i.way.prober.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errors.New("nothing listens on $PORT of 127.0.0.1 yet")
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %d %s", resp.StatusCode, brief(text))
	}
	return nil
}

// request is one of the gateway's own.
func (i *instance) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+i.name()+path, body)
	if err == nil {
		req.Host = i.address()
	}
	return req, err
}

// trySample sends the sample to one instance and returns the answer.
func (i *instance) trySample(ctx context.Context) (json.RawMessage, error) {
	s := i.of.Sample
	limit, cancel := context.WithTimeoutCause(ctx, i.of.Ready, errSlow)
	defer cancel()
	req, err := i.request(limit, http.MethodPost, i.of.Path, bytes.NewReader(s.Request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := i.way.prober.Do(req)
	if err != nil && errors.Is(context.Cause(limit), errSlow) {
		return nil, i.answers("did not answer the sample within %v", i.of.Ready)
	}
	if err != nil {
		return nil, i.answers("did not answer the sample: %v", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, sampleLimit+1))
	switch {
	case err != nil:
		return nil, i.answers("broke off its answer to the sample: %v", err)
	case resp.StatusCode != http.StatusOK:
		return nil, i.answers("answered the sample with %d %s", resp.StatusCode, brief(text))
	case len(text) > sampleLimit:
		return nil, i.answers("answered the sample with more than %d bytes", sampleLimit)
	case !json.Valid(text) && i.of.Bytes:
		return i.takeBytes(text)
	case !json.Valid(text):
		return nil, i.answers("answered the sample with what is not JSON: %s", brief(text))
	case s.Answer != nil && !sameJSON(text, s.Answer):
		return nil, i.answers("answered the sample with %s, and the answer wanted is %s", brief(text), brief(onOneLine(s.Answer)))
	}
	return text, nil
}

// takeBytes judges an answer to the sample that is not JSON. It is kept as text.
func (i *instance) takeBytes(text []byte) (json.RawMessage, error) {
	kept, err := json.Marshal(string(text))
	if err != nil {
		return nil, err
	}
	if want := i.of.Sample.Answer; want != nil && !sameJSON(kept, want) {
		return nil, i.answers("answered the sample with %s, and the answer wanted is %s", brief(text), brief(onOneLine(want)))
	}
	return kept, nil
}

// brief shortens an answer for a message.
func brief(text []byte) string {
	s := strings.ToValidUTF8(strings.TrimSpace(string(text)), "\uFFFD")
	if s == "" {
		return "and an empty body"
	}
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// onOneLine is a JSON value without the blanks that it was kept with.
func onOneLine(text []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return text
	}
	return b.Bytes()
}
