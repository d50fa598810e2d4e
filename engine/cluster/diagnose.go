package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A server that refuses the client's certificate says so only after the TLS 1.3 handshake; one that accepts it says nothing until
// it is spoken to, except that an HTTP/2 server greets first. So this is the longest that we knock and listen.
const greeting = 2 * time.Second

// diagnose finds out, step by step, why the server at the address cannot be used; nil means that nothing is wrong below gRPC.
func diagnose(ctx context.Context, a Address) error {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.HostPort)
	if err != nil {
		return fmt.Errorf("%w: nothing answers at %s: start the server, or correct engine.address: %w", ErrUnreachable, a.HostPort, err)
	}
	defer conn.Close()
	until, _ := ctx.Deadline()
	_ = conn.SetDeadline(until)
	config, err := a.tlsConfig()
	if err != nil {
		return err
	}
	if config == nil {
		return diagnosePlain(conn, a)
	}
	config.NextProtos = []string{"h2"}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return diagnoseHandshake(a, err)
	}
	return diagnoseGreeting(secure, a)
}

func diagnosePlain(conn net.Conn, a Address) error {
	// The preface of HTTP/2 and an empty SETTINGS frame: a plain-text server answers in kind, a TLS server with an alert or nothing.
	_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	frame := make([]byte, 9)
	n, err := io.ReadFull(conn, frame)
	if err == nil && frame[3] == 0x4 {
		return nil
	}
	if n > 0 && frame[0] == 0x15 || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s closed a plain-text connection; it seems to want TLS: set engine.tls", ErrUnreachable, a.HostPort)
	}
	return nil
}

func diagnoseHandshake(a Address, err error) error {
	var foreign *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &foreign):
		return fmt.Errorf("%w: %s: %s: %w", ErrUntrusted, a.HostPort, cureForTrust(foreign), err)
	case errors.As(err, &plain):
		return fmt.Errorf("%w: %s does not speak TLS: remove engine.tls (and the API key), or correct engine.address: %w", ErrUnreachable, a.HostPort, err)
	case isAlert(err):
		return refused(a, err)
	}
	return fmt.Errorf("%w: the TLS handshake with %s broke off: check engine.address and engine.tls: %w", ErrUnreachable, a.HostPort, err)
}

func cureForTrust(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return "set engine.tls.server_name to the name in its certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew it, or correct this machine's clock"
	}
	return "set engine.tls.ca to the file of the authority that signed it"
}

func diagnoseGreeting(secure *tls.Conn, a Address) error {
	_, err := secure.Read(make([]byte, 1))
	if err != nil && isAlert(err) {
		return refused(a, err)
	}
	return nil
}

func refused(a Address, err error) error {
	return fmt.Errorf("%w: %s does not accept this %s: set engine.tls.cert and engine.tls.key to a pair that its authority signed: %w",
		ErrUnauthorised, a.HostPort, a.identity(), err)
}

// isAlert tells whether the other side ended the connection with a TLS alert: crypto/tls wraps those in a net.OpError "remote error".
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && strings.HasPrefix(op.Op, "remote error")
}
