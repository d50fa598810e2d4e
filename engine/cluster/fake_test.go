//go:build !slim

package cluster

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// fake is a cluster that asks for an API key, as a hosted one does; ours cannot.
type fake struct {
	workflowservice.UnimplementedWorkflowServiceServer
	at, authority string
	stop          func()
	mu            sync.Mutex
	header        string
	coming        atomic.Int64 // so often it says that it is not ready yet
}

func startFake(t *testing.T, key string) *fake {
	t.Helper()
	pass, err := issue()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(pass.server.cert, pass.server.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{at: l.Addr().String(), authority: string(pass.authority)}
	s := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)), grpc.UnaryInterceptor(f.guard("Bearer "+key)))
	workflowservice.RegisterWorkflowServiceServer(s, f)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	f.stop = sync.OnceFunc(func() { s.Stop(); <-done })
	t.Cleanup(f.stop)
	return f
}

func (f *fake) guard(want string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got := append(md.Get("authorization"), "")[0]
		f.mu.Lock()
		f.header = got
		f.mu.Unlock()
		if got != want {
			return nil, status.Error(codes.Unauthenticated, "no such key")
		}
		return next(ctx, req)
	}
}

func (f *fake) seen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.header
}

func (f *fake) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	if f.coming.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "Frontend is not healthy yet")
	}
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (*fake) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{}, nil
}
