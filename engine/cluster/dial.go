package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What Dial can fail with, for errors.Is; the text around each names the address and says what to do.
var (
	// ErrUnreachable says that nothing that speaks Temporal answered at the address.
	ErrUnreachable = errors.New("the engine is unreachable")
	// ErrUntrusted says that the server's certificate is not one that we trust.
	ErrUntrusted = errors.New("the engine's certificate is not trusted")
	// ErrUnauthorised says that the server refused our certificate or API key.
	ErrUnauthorised = errors.New("the engine refused us")
	// ErrNoNamespace says that the server has no such namespace.
	ErrNoNamespace = errors.New("the engine has no such namespace")
)

const (
	// patience bounds a Dial whose context has no deadline.
	patience = 10 * time.Second
	// A server that vanished without closing its connection is noticed after these two together. Servers cut off who asks more
	// often than every ten seconds.
	keepAliveEvery = 15 * time.Second
	keepAliveWait  = 5 * time.Second
)

// Dial connects to the server at the address and asks it once for the namespace, so that a client that is returned works.
// It is bounded by ctx, and by ten seconds where ctx has no deadline. The client reconnects by itself later on; close it when done.
//
// Errors wrap ErrUnreachable, ErrUntrusted, ErrUnauthorised or ErrNoNamespace; a mistake in the address itself wraps none of them.
func Dial(ctx context.Context, a Address, logger *slog.Logger) (client.Client, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	c, err := connect(ctx, a, logger)
	if err != nil {
		return nil, explain(ctx, a, err)
	}
	return c, nil
}

// connect leaves the last quarter of the time for finding out why it failed.
func connect(ctx context.Context, a Address, logger *slog.Logger) (client.Client, error) {
	nameBinary()
	until, _ := ctx.Deadline()
	limit := time.Until(until) * 3 / 4
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		c, err := connectOnce(ctx, a, limit, logger)
		if err == nil || !coming(err) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(comingPause):
		}
	}
}

// comingPause is how long after a server that is just starting is asked again.
const comingPause = 20 * time.Millisecond

// coming reports whether a server answers that is not ready yet: its port is open a moment
// before it is. The SDK takes that for a refusal.
func coming(err error) bool { return strings.Contains(err.Error(), "not healthy yet") }

func connectOnce(ctx context.Context, a Address, limit time.Duration, logger *slog.Logger) (client.Client, error) {
	c, err := client.DialContext(ctx, a.clientOptions(limit, logger))
	if err != nil {
		return nil, err
	}
	if err := findNamespace(ctx, c, a); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (a Address) clientOptions(limit time.Duration, logger *slog.Logger) client.Options {
	o := client.Options{
		HostPort:  a.HostPort,
		Namespace: a.namespace(),
		Logger:    sdklog.NewStructuredLogger(orDiscard(logger)),
	}
	o.ConnectionOptions.TLS, _ = a.tlsConfig() // checked before
	o.ConnectionOptions.TLSDisabled = o.ConnectionOptions.TLS == nil
	o.ConnectionOptions.KeepAliveTime = keepAliveEvery
	o.ConnectionOptions.KeepAliveTimeout = keepAliveWait
	o.ConnectionOptions.GetSystemInfoTimeout = limit
	if a.onThisMachine() {
		o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	if a.APIKey != "" {
		o.Credentials = client.NewAPIKeyStaticCredentials(a.APIKey)
	}
	return o
}

// nameBinary tells the SDK what to call this program. It would otherwise read the whole executable to make a checksum when the
// first worker starts: 0.3 s for one that carries the server. The name is only shown, beside what each worker did.
var nameBinary = sync.OnceFunc(func() {
	name := "amlflow"
	if b, ok := debug.ReadBuildInfo(); ok {
		name += "@" + b.Main.Version
	}
	worker.SetBinaryChecksum(name)
})

func findNamespace(ctx context.Context, c client.Client, a Address) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: a.namespace()})
	return err
}

// explain turns what the client said into one of our errors, with words. It looks at the network only after a failure, because
// gRPC reports a refused connection, a foreign certificate and a refused one as the same "unavailable".
func explain(ctx context.Context, a Address, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("connecting to the engine at %s: %w", a.HostPort, ctx.Err())
	}
	var none *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &none):
		return fmt.Errorf("%w: %q at %s: create it there (temporal operator namespace create -n %s), or name another in engine.namespace",
			ErrNoNamespace, a.namespace(), a.HostPort, a.namespace())
	case errors.As(err, &denied), code(err) == codes.Unauthenticated:
		return fmt.Errorf("%w: %s does not let this %s use namespace %q: check it, or ask the cluster's owner for access: %w",
			ErrUnauthorised, a.HostPort, a.identity(), a.namespace(), err)
	}
	if cause := diagnose(ctx, a); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: %s answers, but not as a Temporal server: check engine.address: %w", ErrUnreachable, a.HostPort, err)
}

// code finds the gRPC code, which serviceerror keeps behind a method of its own.
func code(err error) codes.Code {
	var s interface{ Status() *status.Status }
	if errors.As(err, &s) {
		return s.Status().Code()
	}
	return status.Code(err)
}

// identity names what we proved ourselves with.
func (a Address) identity() string {
	switch {
	case a.APIKey != "":
		return "API key"
	case a.TLS != nil && a.TLS.Cert != "":
		return "client certificate"
	}
	return "client (which gave neither an API key nor a certificate)"
}
