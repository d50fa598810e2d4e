package server

import (
	"net/http"
	"strings"
	"testing"
)

// Whoever reaches the port without the token of the state folder, by another
// name, or from a page of another site gets nothing on any route.
func TestTheControlAPIWantsItsToken(t *testing.T) {
	var i Info
	c, err := startControl(&i)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, route := range []string{"GET /status", "POST /stop", "GET /hold", "GET /", "POST /nonesuch"} {
		method, path, _ := strings.Cut(route, " ")
		for name, ask := range map[string]struct {
			change func(*http.Request)
			want   int
		}{
			"no token":      {func(q *http.Request) { q.Header.Del("Authorization") }, http.StatusUnauthorized},
			"another token": {func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+i.Token+"x") }, http.StatusUnauthorized},
			"another name":  {func(q *http.Request) { q.Host = "evil.example" }, http.StatusMisdirectedRequest},
		} {
			if got := asked(t, i, method, path, ask.change); got != ask.want {
				t.Errorf("%s with %s: %d, want %d", route, name, got, ask.want)
			}
		}
	}
	foreign := func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "cross-site") }
	if got := asked(t, i, http.MethodPost, "/stop", foreign); got != http.StatusForbidden {
		t.Errorf("a page of another site may stop the server: %d", got)
	}
	select {
	case <-c.stopped:
		t.Fatal("one of them stopped the server")
	default:
	}
	if got := asked(t, i, http.MethodGet, "/status", func(*http.Request) {}); got != http.StatusOK {
		t.Errorf("the right token: %d", got)
	}
	if got := asked(t, i, http.MethodPost, "/stop", func(*http.Request) {}); got != http.StatusAccepted {
		t.Errorf("the right token: %d", got)
	}
	<-c.stopped
}

func asked(t *testing.T, i Info, method, path string, change func(*http.Request)) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, i.Control+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+i.Token)
	change(q)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	return r.StatusCode
}
