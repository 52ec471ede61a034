package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const service = "tribune"

// maxRequest and maxAnswer bound messages, in bytes. A request is a write of one
// value or little more; an answer may list many of them.
const (
	maxRequest = 64 << 20
	maxAnswer  = 1 << 30
)

// maxStreams bounds the requests that wait on one connection: the blocking
// queries of all clients of an agent share one.
const maxStreams = 1 << 16

// Windows of a fixed size spare the pings with which gRPC would otherwise
// estimate one at every message: half of all packets, when messages are small.
const (
	streamWindow = 2 << 20
	connWindow   = 8 << 20
)

// A connection whose peer is gone without a word is given up after the sum.
const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 5 * time.Second
)

// anyTime lets pings come as they may. Those that waited while this process stood
// still come at once, and are no reason to end a connection and all its requests.
const anyTime = -1

// Method is an entry of a server's table of endpoints.
type Method struct{ desc grpc.MethodDesc }

// Handle makes an entry: requests to name, such as "KV.Get", are answered by f.
func Handle[Request, Answer any](name string, f func(context.Context, Request) (Answer, error)) Method {
	handler := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var r Request
		if err := decode(&r); err != nil {
			return nil, err
		}
		a, err := f(ctx, r)
		if err != nil {
			return nil, toWire(err)
		}
		return &a, nil
	}
	return Method{grpc.MethodDesc{MethodName: name, Handler: handler}}
}

// Server answers requests that come in on a Port.
type Server struct {
	grpc *grpc.Server
	wait sync.WaitGroup
}

// Serve starts answering.
func Serve(p *Port, methods ...Method) *Server {
	s := &Server{grpc: grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxSendMsgSize(maxAnswer),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: anyTime, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)}
	desc := grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
	for _, m := range methods {
		desc.Methods = append(desc.Methods, m.desc)
	}
	s.grpc.RegisterService(&desc, s)
	s.wait.Go(func() { _ = s.grpc.Serve(p.grpc) }) // it ends when the port or the server closes
	return s
}

// Close ends all connections and waits for the requests that are being
// answered; their contexts are cancelled.
func (s *Server) Close() {
	s.grpc.Stop()
	s.wait.Wait()
}
