//go:build !slim

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestDialTellsWhatIsWrong(t *testing.T) {
	good := startServer(t, t.TempDir()).Address()
	with := func(change func(*Address)) Address {
		a, secure := good, *good.TLS
		a.TLS = &secure
		change(&a)
		return a
	}
	other, err := issue()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		address Address
		is      error
		says    string
	}{
		"nobody there":          {Address{HostPort: closedPort(t)}, ErrUnreachable, "start the server, or correct engine.address"},
		"no such host":          {Address{HostPort: "engine.invalid:7233"}, ErrUnreachable, "correct engine.address"},
		"plain text to TLS":     {with(func(a *Address) { a.TLS = nil }), ErrUnreachable, "set engine.tls"},
		"TLS to plain text":     {with(func(a *Address) { a.HostPort = webServer(t) }), ErrUnreachable, "does not speak TLS"},
		"a web server":          {Address{HostPort: webServer(t)}, ErrUnreachable, "engine.address"},
		"no client certificate": {with(func(a *Address) { a.TLS.Cert, a.TLS.Key = "", "" }), ErrUnauthorised, "engine.tls.cert"},
		"a foreign certificate": {with(func(a *Address) { a.TLS.Cert, a.TLS.Key = string(other.client.cert), string(other.client.key) }), ErrUnauthorised, "client certificate"},
		"another authority":     {with(func(a *Address) { a.TLS.CA = string(other.authority) }), ErrUntrusted, "engine.tls.ca"},
		"the system's trust":    {with(func(a *Address) { a.TLS.CA = "" }), ErrUntrusted, "engine.tls.ca"},
		"another name":          {with(func(a *Address) { a.TLS.ServerName = "elsewhere" }), ErrUntrusted, "engine.tls.server_name"},
		"no such namespace":     {with(func(a *Address) { a.Namespace = "vision" }), ErrNoNamespace, `"vision"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := Dial(ctx, c.address, testLogger(t))
			t.Log(err)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.address.HostPort) {
				t.Errorf("wanted %v that says %q", c.is, c.says)
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func webServer(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, Address{HostPort: l.Addr().String()}, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// An external cluster is one that another process runs, here with its certificates in files, as a workspace names them.
func TestDialWithCertificateFiles(t *testing.T) {
	a := startChild(t, t.TempDir()).address
	dir := t.TempDir()
	for name, field := range map[string]*string{"ca.pem": &a.TLS.CA, "cert.pem": &a.TLS.Cert, "key.pem": &a.TLS.Key} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(*field), 0o600); err != nil {
			t.Fatal(err)
		}
		*field = path
	}
	dialled(t, a)
}

// A server whose port is open and that is not ready yet is waited for.
func TestDialWaitsForAServerThatStarts(t *testing.T) {
	f := startFake(t, "key")
	f.coming.Store(3)
	dialled(t, Address{HostPort: f.at, TLS: &TLS{CA: f.authority}, APIKey: "key"})
	if left := f.coming.Load(); left >= 0 {
		t.Errorf("it was not asked until it was ready: %d", left)
	}
}

func TestDialProvesItselfWithAnAPIKey(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := startFake(t, "right")
	a := Address{HostPort: s.at, Namespace: "vision", TLS: &TLS{CA: s.authority}, APIKey: "right"}
	c, err := Dial(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if want := "Bearer right"; s.seen() != want {
		t.Errorf("the server saw %q, not %q", s.seen(), want)
	}
	a.APIKey = "wrong"
	_, err = Dial(t.Context(), a, nil)
	if !errors.Is(err, ErrUnauthorised) || !strings.Contains(err.Error(), "API key") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
	s.stop()
}

func TestAPIKeyNeverTravelsInPlainText(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		first := make([]byte, 1)
		_, _ = io.ReadFull(conn, first)
		heard <- fmt.Sprintf("%x", first)
	}()
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, Address{HostPort: l.Addr().String(), APIKey: "secret"}, nil); err == nil {
		t.Error("dialled a server that is none")
	}
	if first := <-heard; first != "16" { // a TLS handshake record
		t.Errorf("the connection began with 0x%s", first)
	}
}

func TestAddressMistakes(t *testing.T) {
	pass, err := issue()
	if err != nil {
		t.Fatal(err)
	}
	for want, a := range map[string]Address{
		`is empty: write "host:port"`:                   {},
		`write for example "temporal.lan:7233"`:         {HostPort: "temporal.lan"},
		`is not "host:port"`:                            {HostPort: ":7233"},
		`reading the engine's tls ca: open nowhere.pem`: {HostPort: "a:1", TLS: &TLS{CA: "nowhere.pem"}},
		`holds no PEM certificate`:                      {HostPort: "a:1", TLS: &TLS{CA: string(pass.client.key)}},
		`needs both cert and key, or neither`:           {HostPort: "a:1", TLS: &TLS{Cert: string(pass.client.cert)}},
		`cert (PEM text) and key (PEM text) do not fit`: {HostPort: "a:1", TLS: &TLS{Cert: string(pass.client.cert), Key: string(pass.server.key)}},
	} {
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, wanted %q", err, want)
		}
		if _, err := Dial(t.Context(), a, nil); err == nil {
			t.Errorf("dialled %v", a)
		}
	}
}

func TestAddressTravelsAsJSONAndHidesItsSecrets(t *testing.T) {
	a := startServer(t, t.TempDir()).Address()
	a.APIKey = "secret"
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var b Address
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	dialled(t, b)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if said := fmt.Sprintf(format, a); strings.Contains(said, "secret") || strings.Contains(said, "PRIVATE") {
			t.Errorf("%s shows %s", format, said)
		}
	}
}
