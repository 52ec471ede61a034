package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"tribune/impl/fault"
	"tribune/impl/host"
)

// Client sends requests to other servers, over one connection to each that it
// keeps and restores.
type Client struct {
	network host.Network
	codec   msgpack
	ctx     context.Context // ends when the client closes
	stop    context.CancelFunc

	mu     sync.Mutex
	conns  map[string]*grpc.ClientConn
	closed bool
}

const connectTimeout = 3 * time.Second

// NewClient returns a client that dials through a network.
func NewClient(n host.Network) *Client {
	c := &Client{network: n, codec: newCodec(), conns: map[string]*grpc.ClientConn{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Close ends all connections; requests on their way fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	return c.Keep(nil)
}

// Keep ends the connections to all servers but those at the given addresses.
func (c *Client) Keep(addresses []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, a := range slices.Sorted(maps.Keys(c.conns)) {
		if !slices.Contains(addresses, a) {
			errs = append(errs, c.conns[a].Close())
			delete(c.conns, a)
		}
	}
	return errors.Join(errs...)
}

func (c *Client) conn(address string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fault.New(fault.Unavailable, "this agent is shutting down")
	}
	if conn := c.conns[address]; conn != nil {
		return conn, nil
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dial(ctx, c.ctx, c.network, address, grpcByte)
		}),
		grpc.WithNoProxy(),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // whether a request may be sent again is for the caller to decide
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(c.codec), grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(maxRequest)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: connectTimeout,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("rpc: a connection to %s: %w", address, err)
	}
	c.conns[address] = conn
	return conn, nil
}

// Call sends a request to the server at address and returns its answer. An
// error has the fault.Kind that the server gave it; fault.Unavailable if the
// request surely did not reach the server; fault.Unknown if it may have.
func Call[Answer any](ctx context.Context, c *Client, address, method string, request any) (Answer, error) {
	var a Answer
	conn, err := c.conn(address)
	if err != nil {
		return a, err
	}
	var to peer.Peer // set once the request has a stream to go out on
	err = conn.Invoke(ctx, "/"+service+"/"+method, request, &a, grpc.Peer(&to))
	return a, fromWire(err, to.Addr != nil)
}
