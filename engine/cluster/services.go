//go:build !slim

package cluster

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	clusterName = "active"
	storeName   = "engine"
)

// services are the parts of the server that run. Its internal worker is left out, since it costs start-up time and idle work. It
// is needed for schedules of the older kind (tuning asks for the newer one), batch operations, deleting namespaces and worker deployments, none of which we use yet. It also ends
// the children of a closed parent that has more than ten; tuning gives that back to the history service.
var services = []string{string(primitives.FrontendService), string(primitives.HistoryService), string(primitives.MatchingService)}

// build makes a server that has opened its ports and has not started. What the server calls fatal, such as a port that is taken,
// ends the goroutine that it happens in (see serverLog.Fatal); so the server is built in one of its own.
func (e *Embedded) build(o Options, on ports, pass *keyring) (temporal.Server, error) {
	options, err := e.serverOptions(o, on, pass)
	if err != nil {
		return nil, err
	}
	var server temporal.Server
	done := make(chan error, 1)
	go func() {
		err := errors.New("the server gave up")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("the server gave up: %v", p)
			}
			done <- err
		}()
		server, err = temporal.NewServer(options...)
	}()
	err = <-done
	select {
	case fatal := <-e.failed: // the cause of what we saw
		return nil, fatal
	default:
		return server, err
	}
}

func (e *Embedded) serverOptions(o Options, on ports, pass *keyring) ([]temporal.ServerOption, error) {
	secure, err := pass.forServer()
	if err != nil {
		return nil, fmt.Errorf("reading the engine's certificates: %w", err)
	}
	return []temporal.ServerOption{
		temporal.WithConfig(e.serverConfig(o, on)),
		temporal.ForServices(services),
		temporal.WithStaticHosts(hosts(on)),
		temporal.WithTLSConfigFactory(secure),
		temporal.WithLogger(e.serverLog(o.logger())),
		temporal.WithDynamicConfigClient(tuning()),
		// The certificate is the authorisation: who holds it may do everything.
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
	}, nil
}

// hosts make the services known to each other without a membership protocol, whose joining would take seconds.
func hosts(on ports) map[primitives.ServiceName]static.Hosts {
	out := map[primitives.ServiceName]static.Hosts{}
	for s := range on {
		out[s] = static.SingleLocalHost(on.address(s))
	}
	return out
}

func (e *Embedded) serverConfig(o Options, on ports) *config.Config {
	c := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: storeName, VisibilityStore: storeName, NumHistoryShards: int32(max(o.Shards, 1)),
			DataStores: map[string]config.DataStore{storeName: {SQL: e.database.config()}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, RPCAddress: on.frontend(), ClusterID: uuid.NewString(),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: on.frontend()},
		Services:            map[string]config.Service{},
	}
	c.Global.Membership.BroadcastAddress = loopback
	for s, port := range on {
		c.Services[string(s)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	noArchive(c)
	return c
}

func noArchive(c *config.Config) {
	const off = "disabled"
	c.Archival.History.State, c.Archival.Visibility.State = off, off
	c.NamespaceDefaults.Archival.History.State, c.NamespaceDefaults.Archival.Visibility.State = off, off
}
