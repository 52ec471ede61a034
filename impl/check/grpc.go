package check

import (
	"context"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"

	"tribune/impl/api"
)

// grpc asks a server by the gRPC health checking protocol, for all that it does or
// for one service. Every run has a connection of its own: one that failed would
// have to be waited for.
func (c Config) grpc(d api.CheckDefinition) probe {
	server, service, _ := strings.Cut(d.GRPC, "/")
	secure := insecure.NewCredentials()
	if d.GRPCUseTLS {
		secure = credentials.NewTLS(c.tlsFor(d, hostOf(server)))
	}
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		return c.Network.Dial(ctx, "tcp", address)
	}
	return func(ctx context.Context) finding {
		client, err := grpc.NewClient("passthrough:///"+server, grpc.WithContextDialer(dial), grpc.WithTransportCredentials(secure))
		if err != nil {
			return finding{api.HealthCritical, err.Error()}
		}
		defer client.Close()
		a, err := health.NewHealthClient(client).Check(ctx, &health.HealthCheckRequest{Service: service})
		switch {
		case err != nil:
			return finding{api.HealthCritical, err.Error()}
		case a.GetStatus() != health.HealthCheckResponse_SERVING:
			return finding{api.HealthCritical, fmt.Sprintf("gRPC %s serving status: %s", d.GRPC, a.GetStatus())}
		}
		return finding{api.HealthPassing, fmt.Sprintf("gRPC check %s: success", d.GRPC)}
	}
}
