package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
)

// Address says where a Temporal server answers and how to speak to it securely.
//
// Marshalled to JSON it carries its secrets (the client's private key, the API key): a file that holds one belongs to its owner
// alone (0600). Printed or logged it shows none.
type Address struct {
	// HostPort is "host:port".
	HostPort string `json:"host_port"`
	// Namespace is the Temporal namespace; empty means DefaultNamespace.
	Namespace string `json:"namespace,omitempty"`
	// TLS is how to encrypt; nil means plain text, unless there is an APIKey, which never travels in plain text.
	TLS *TLS `json:"tls,omitempty"`
	// APIKey is sent with every request as "Authorization: Bearer …".
	APIKey string `json:"api_key,omitempty"`
}

// TLS says whom to trust and how to prove who we are. CA, Cert and Key are each PEM text or the path of a PEM file.
type TLS struct {
	// CA signs the server's certificate; empty means the authorities that the system trusts.
	CA string `json:"ca,omitempty"`
	// Cert and Key are the client's own (mutual TLS): both or neither.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// ServerName is the name in the server's certificate, where it is not the host of the address.
	ServerName string `json:"server_name,omitempty"`
}

// String is the address without its secrets.
func (a Address) String() string { return a.HostPort + "/" + a.namespace() }

// GoString is String, so that %#v shows no secret either.
func (a Address) GoString() string { return "cluster.Address(" + a.String() + ")" }

// LogValue is String, for slog.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

func (a Address) namespace() string {
	if a.Namespace == "" {
		return DefaultNamespace
	}
	return a.Namespace
}

func (a Address) host() string {
	host, _, err := net.SplitHostPort(a.HostPort)
	if err != nil {
		return a.HostPort
	}
	return host
}

// onThisMachine tells whether the server can only be in the same machine, where compressing costs more than it saves.
func (a Address) onThisMachine() bool {
	ip := net.ParseIP(a.host())
	return a.host() == "localhost" || ip != nil && ip.IsLoopback()
}

// Check says what is wrong with the address itself, before anything is dialled; certificate files are read.
func (a Address) Check() error {
	_, err := a.tlsConfig()
	return errors.Join(a.checkHostPort(), err)
}

func (a Address) checkHostPort() error {
	if a.HostPort == "" {
		return errors.New(`the engine's address is empty: write "host:port", for example "temporal.lan:7233"`)
	}
	host, port, err := net.SplitHostPort(a.HostPort)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf(`the engine's address %q is not "host:port": write for example "%s:7233"`, a.HostPort, strings.Trim(a.HostPort, ":/"))
	}
	return nil
}

// tlsConfig is nil for plain text.
func (a Address) tlsConfig() (*tls.Config, error) {
	t := a.TLS
	if t == nil && a.APIKey == "" {
		return nil, nil
	}
	if t == nil {
		t = &TLS{}
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		c.ServerName = a.host()
	}
	return c, errors.Join(t.trust(c), t.identify(c))
}

func (t *TLS) trust(c *tls.Config) error {
	if t.CA == "" {
		return nil
	}
	text, err := pemText("ca", t.CA)
	if err != nil {
		return err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("the engine's tls ca (%s) holds no PEM certificate: give the file that starts with %q", place(t.CA), pemStart+"CERTIFICATE-----")
	}
	return nil
}

func (t *TLS) identify(c *tls.Config) error {
	if t.Cert == "" && t.Key == "" {
		return nil
	}
	if t.Cert == "" || t.Key == "" {
		return errors.New("the engine's tls needs both cert and key, or neither: only one of them is given")
	}
	cert, err := pemText("cert", t.Cert)
	if err != nil {
		return err
	}
	key, err := pemText("key", t.Key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("the engine's tls cert (%s) and key (%s) do not fit together: %w", place(t.Cert), place(t.Key), err)
	}
	c.Certificates = []tls.Certificate{pair}
	return nil
}

const pemStart = "-----BEGIN "

func pemText(what, s string) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(s), pemStart) {
		return []byte(s), nil
	}
	text, err := os.ReadFile(s)
	if err != nil {
		return nil, fmt.Errorf("reading the engine's tls %s: %w", what, err)
	}
	return text, nil
}

func place(s string) string {
	if strings.HasPrefix(strings.TrimSpace(s), pemStart) {
		return "PEM text"
	}
	return s
}
