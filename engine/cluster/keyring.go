//go:build !slim

package cluster

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"go.temporal.io/server/common/rpc/encryption"
)

// keyring is what one run of the server and its clients prove themselves with: an authority that is made at each start, signs
// one certificate for the server and one for its clients, and is then forgotten. Loopback is open to every user of the machine,
// so a client must hold the second; the services ask the same of each other.
type keyring struct {
	authority      []byte // PEM
	server, client keyPair
}

type keyPair struct{ cert, key []byte } // PEM

const validFor = 10 * 365 * 24 * time.Hour

func issue() (*keyring, error) {
	root, rootKey, err := newAuthority()
	if err != nil {
		return nil, err
	}
	c := &keyring{authority: encode("CERTIFICATE", root.Raw)}
	if c.server, err = sign(root, rootKey, "engine", x509.ExtKeyUsageServerAuth); err != nil {
		return nil, err
	}
	c.client, err = sign(root, rootKey, "client", x509.ExtKeyUsageClientAuth)
	return c, err
}

func newAuthority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := template("authority")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	root, err := x509.ParseCertificate(der)
	return root, key, err
}

func sign(root *x509.Certificate, rootKey *ecdsa.PrivateKey, name string, use x509.ExtKeyUsage) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	t := template(name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{use}
	if use == x509.ExtKeyUsageServerAuth {
		t.IPAddresses = []net.IP{net.ParseIP(loopback)}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, root, &key.PublicKey, rootKey)
	if err != nil {
		return keyPair{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	return keyPair{cert: encode("CERTIFICATE", der), key: encode("PRIVATE KEY", secret)}, err
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // crypto/rand never fails
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "amlflow " + name},
		NotBefore:    now.Add(-time.Hour), // a clock that is set back a little must not lock us out
		NotAfter:     now.Add(validFor),
	}
}

func encode(kind string, der []byte) []byte {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // a buffer takes everything
	return b.Bytes()
}

// forClient is the TLS of the Address.
func (c *keyring) forClient() *TLS {
	return &TLS{CA: string(c.authority), Cert: string(c.client.cert), Key: string(c.client.key)}
}

// forServer is the TLS of the services: the same in front and between them.
func (c *keyring) forServer() (encryption.TLSConfigProvider, error) {
	server, err := tls.X509KeyPair(c.server.cert, c.server.key)
	if err != nil {
		return nil, err
	}
	client, err := tls.X509KeyPair(c.client.cert, c.client.key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.authority)
	serve := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{server},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
	call := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{client}, RootCAs: pool, ServerName: loopback}
	return &encryption.FixedTLSConfigProvider{
		FrontendServerConfig: serve, InternodeServerConfig: serve,
		FrontendClientConfig: call, InternodeClientConfig: call,
	}, nil
}
