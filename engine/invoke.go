package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxAnswer bounds what Invoke reads of an answer.
const maxAnswer = 64 << 20

// ErrAnswer says that an endpoint was reached and answered with an error.
var ErrAnswer = errors.New("the endpoint answered with an error")

// Invoke posts a JSON request to an endpoint and returns its answer. Path is
// below the endpoint's URL; empty means where it scores.
func Invoke(ctx context.Context, s Served, path string, body []byte) ([]byte, error) {
	url := s.URL
	if path = strings.TrimPrefix(path, "/"); path != "" {
		url = strings.TrimSuffix(url, "/") + "/" + path
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask endpoint %q: %w", s.Name, err)
	}
	q.Header.Set("Content-Type", "application/json")
	if s.Key != "" {
		q.Header.Set("Authorization", "Bearer "+s.Key)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, fmt.Errorf("ask endpoint %q: %w", s.Name, err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of endpoint %q: %w", s.Name, err)
	}
	if r.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%w: %q says %d: %s", ErrAnswer, s.Name, r.StatusCode, saying(answer))
	}
	return answer, nil
}

// saying is the text of an error answer: its "error" when it is JSON.
func saying(answer []byte) string {
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &e) == nil && e.Error != "" {
		return e.Error
	}
	return fmt.Sprintf("%.500s", strings.TrimSpace(string(answer)))
}
