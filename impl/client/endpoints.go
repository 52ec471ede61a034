package client

import (
	"context"

	"tribune/impl/api"
)

// What a server does by the same name, the client has a server do.

// Register asks a server: see package server.
func (k *Client) Register(ctx context.Context, r api.RegisterRequest) (api.WriteResponse, error) {
	return write[api.WriteResponse](ctx, k, api.MethodRegister, r)
}

// Deregister asks a server: see package server.
func (k *Client) Deregister(ctx context.Context, r api.DeregisterRequest) (api.WriteResponse, error) {
	return write[api.WriteResponse](ctx, k, api.MethodDeregister, r)
}

// Nodes asks a server: see package server.
func (k *Client) Nodes(ctx context.Context, r api.CatalogRequest) (api.List[api.Node], error) {
	return read[api.List[api.Node]](ctx, k, api.MethodNodes, &r.QueryOptions, &r)
}

// Services asks a server: see package server.
func (k *Client) Services(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, error) {
	return read[api.ServicesResponse](ctx, k, api.MethodServices, &r.QueryOptions, &r)
}

// ServiceNodes asks a server: see package server.
func (k *Client) ServiceNodes(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], error) {
	return read[api.List[api.CatalogService]](ctx, k, api.MethodServiceNodes, &r.QueryOptions, &r)
}

// NodeServices asks a server: see package server.
func (k *Client) NodeServices(ctx context.Context, r api.CatalogRequest) (api.NodeServicesResponse, error) {
	return read[api.NodeServicesResponse](ctx, k, api.MethodNodeServices, &r.QueryOptions, &r)
}

// NodeChecks asks a server: see package server.
func (k *Client) NodeChecks(ctx context.Context, r api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return read[api.List[api.HealthCheck]](ctx, k, api.MethodNodeChecks, &r.QueryOptions, &r)
}

// ServiceChecks asks a server: see package server.
func (k *Client) ServiceChecks(ctx context.Context, r api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return read[api.List[api.HealthCheck]](ctx, k, api.MethodServiceChecks, &r.QueryOptions, &r)
}

// ChecksInState asks a server: see package server.
func (k *Client) ChecksInState(ctx context.Context, r api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return read[api.List[api.HealthCheck]](ctx, k, api.MethodChecksInState, &r.QueryOptions, &r)
}

// HealthOfService asks a server: see package server.
func (k *Client) HealthOfService(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	return read[api.List[api.CheckServiceNode]](ctx, k, api.MethodHealthOfService, &r.QueryOptions, &r)
}

// SessionApply asks a server: see package server.
func (k *Client) SessionApply(ctx context.Context, r api.SessionApplyRequest) (api.SessionApplyResponse, error) {
	return write[api.SessionApplyResponse](ctx, k, api.MethodSessionApply, r)
}

// SessionRead asks a server: see package server.
func (k *Client) SessionRead(ctx context.Context, r api.SessionRequest) (api.List[api.Session], error) {
	return read[api.List[api.Session]](ctx, k, api.MethodSessionRead, &r.QueryOptions, &r)
}

// SessionRenew asks a server: see package server.
func (k *Client) SessionRenew(ctx context.Context, r api.SessionRequest) (api.List[api.Session], error) {
	return read[api.List[api.Session]](ctx, k, api.MethodSessionRenew, &r.QueryOptions, &r)
}

// KVGet asks a server: see package server.
func (k *Client) KVGet(ctx context.Context, r api.KVRequest) (api.KVResponse, error) {
	return read[api.KVResponse](ctx, k, api.MethodKVGet, &r.QueryOptions, &r)
}

// KVKeys asks a server: see package server.
func (k *Client) KVKeys(ctx context.Context, r api.KVKeysRequest) (api.KVKeysResponse, error) {
	return read[api.KVKeysResponse](ctx, k, api.MethodKVKeys, &r.QueryOptions, &r)
}

// KVApply asks a server: see package server.
func (k *Client) KVApply(ctx context.Context, r api.KVApplyRequest) (api.KVApplyResponse, error) {
	return write[api.KVApplyResponse](ctx, k, api.MethodKVApply, r)
}

// TxnApply asks a server: see package server.
func (k *Client) TxnApply(ctx context.Context, r api.TxnRequest) (api.TxnResponse, error) {
	return write[api.TxnResponse](ctx, k, api.MethodTxnApply, r)
}

// TxnRead asks a server: see package server.
func (k *Client) TxnRead(ctx context.Context, r api.TxnReadRequest) (api.TxnReadResponse, error) {
	return read[api.TxnReadResponse](ctx, k, api.MethodTxnRead, &r.QueryOptions, &r)
}

// CoordinateUpdate asks a server: see package server.
func (k *Client) CoordinateUpdate(ctx context.Context, r api.CoordinateUpdate) (api.WriteResponse, error) {
	return write[api.WriteResponse](ctx, k, api.MethodCoordinateUpdate, r)
}

// CoordinateNodes asks a server: see package server.
func (k *Client) CoordinateNodes(ctx context.Context, r api.CoordinateRequest) (api.List[api.NodeCoordinate], error) {
	return read[api.List[api.NodeCoordinate]](ctx, k, api.MethodCoordinateNodes, &r.QueryOptions, &r)
}

// CoordinateNode asks a server: see package server.
func (k *Client) CoordinateNode(ctx context.Context, r api.CoordinateRequest) (api.List[api.NodeCoordinate], error) {
	return read[api.List[api.NodeCoordinate]](ctx, k, api.MethodCoordinateNode, &r.QueryOptions, &r)
}

// CoordinateDatacenters asks a server: see package server.
func (k *Client) CoordinateDatacenters(ctx context.Context, o api.QueryOptions) ([]api.DatacenterCoordinates, error) {
	return read[[]api.DatacenterCoordinates](ctx, k, api.MethodCoordinateDatacenters, &o, &o)
}

// QueryApply asks a server: see package server.
func (k *Client) QueryApply(ctx context.Context, r api.QueryApplyRequest) (api.QueryApplyResponse, error) {
	return write[api.QueryApplyResponse](ctx, k, api.MethodQueryApply, r)
}

// QueryRead asks a server: see package server.
func (k *Client) QueryRead(ctx context.Context, r api.QueryRequest) (api.List[api.PreparedQuery], error) {
	return read[api.List[api.PreparedQuery]](ctx, k, api.MethodQueryRead, &r.QueryOptions, &r)
}

// QueryExecute asks a server: see package server.
func (k *Client) QueryExecute(ctx context.Context, r api.QueryExecuteRequest) (api.QueryExecuteResponse, error) {
	return read[api.QueryExecuteResponse](ctx, k, api.MethodQueryExecute, &r.QueryOptions, &r)
}

// QueryExplain asks a server: see package server.
func (k *Client) QueryExplain(ctx context.Context, r api.QueryExecuteRequest) (api.QueryExplainResponse, error) {
	return read[api.QueryExplainResponse](ctx, k, api.MethodQueryExplain, &r.QueryOptions, &r)
}

// RaftLeader asks a server for the address of the leader.
func (k *Client) RaftLeader(ctx context.Context, o api.QueryOptions) (string, error) {
	return read[string](ctx, k, api.MethodRaftLeader, &o, &o)
}

// RaftPeers asks a server for the addresses of the raft group.
func (k *Client) RaftPeers(ctx context.Context, o api.QueryOptions) ([]string, error) {
	return read[[]string](ctx, k, api.MethodRaftPeers, &o, &o)
}
