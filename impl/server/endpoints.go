package server

import (
	"context"
	"slices"

	"tribune/impl/api"
	"tribune/impl/rpc"
)

// What only servers ask each other.
const (
	methodGroup  = "Raft.Group"
	methodTerm   = "Raft.Term"
	methodLocate = "Coordinate.Batch"
)

// nothing is a request that needs no words.
type nothing struct{}

// forwarded stands in front of the name of a request that a server forwards to
// the leader.
const forwarded = "Forwarded."

// serve makes the entries for a request: one for agents, for whom this server
// finds the leader, and one for servers that take this one for the leader.
func serve[Request, Answer any](name string, f func(context.Context, Request) (Answer, error)) []rpc.Method {
	return []rpc.Method{rpc.Handle(name, f), rpc.Handle(forwarded+name, arrived(f))}
}

// endpoints is the table of what others may ask.
func (s *Server) endpoints() []rpc.Method {
	return slices.Concat(
		serve(api.MethodRegister, s.Register),
		serve(api.MethodDeregister, s.Deregister),
		serve(api.MethodNodes, s.Nodes),
		serve(api.MethodServices, s.Services),
		serve(api.MethodServiceNodes, s.ServiceNodes),
		serve(api.MethodNodeServices, s.NodeServices),
		serve(api.MethodNodeChecks, s.NodeChecks),
		serve(api.MethodServiceChecks, s.ServiceChecks),
		serve(api.MethodChecksInState, s.ChecksInState),
		serve(api.MethodHealthOfService, s.HealthOfService),
		serve(api.MethodSessionApply, s.SessionApply),
		serve(api.MethodSessionRead, s.SessionRead),
		serve(api.MethodSessionRenew, s.SessionRenew),
		serve(api.MethodKVGet, s.KVGet),
		serve(api.MethodKVKeys, s.KVKeys),
		serve(api.MethodKVApply, s.KVApply),
		serve(api.MethodTxnApply, s.TxnApply),
		serve(api.MethodTxnRead, s.TxnRead),
		serve(api.MethodQueryApply, s.QueryApply),
		serve(api.MethodQueryRead, s.QueryRead),
		serve(api.MethodQueryExecute, s.QueryExecute),
		serve(api.MethodQueryExplain, s.QueryExplain),
		serve(api.MethodCoordinateNodes, s.CoordinateNodes),
		serve(api.MethodCoordinateNode, s.CoordinateNode),
		[]rpc.Method{
			rpc.Handle(api.MethodCoordinateUpdate, s.CoordinateUpdate),
			rpc.Handle(api.MethodCoordinateDatacenters, s.CoordinateDatacenters),
			rpc.Handle(forwarded+methodLocate, arrived(s.locate)),
			rpc.Handle(api.MethodRaftLeader, s.RaftLeader),
			rpc.Handle(api.MethodRaftPeers, s.RaftPeers),
			rpc.Handle(methodGroup, s.group),
			rpc.Handle(methodTerm, s.term),
		},
	)
}
