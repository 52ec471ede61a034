package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/httpapi"
)

// backend answers everything with one of each, or with an error.
type backend struct{ *fake }

func one[Item any](b backend, item Item) (api.List[Item], error) {
	return api.List[Item]{Items: []Item{item}, QueryMeta: meta}, b.err
}

// handler is the whole API over a backend, of which err is what goes wrong.
func handler(err error) http.Handler {
	b := backend{&fake{entries: []api.DirEntry{{Key: "a", Value: []byte("v")}}, err: err}}
	return httpapi.New(httpapi.Config{
		KV: b, Catalog: b, Session: b, Txn: b, Coordinate: b, Query: b, Events: b, Status: b, Agent: b, Local: locals{b},
		Logger: slog.New(slog.DiscardHandler), MaxValueSize: 10, MaxTxnLen: 1 << 20, CheckKeys: true,
	})
}

func (b backend) Register(context.Context, api.RegisterRequest) (api.WriteResponse, error) {
	return api.WriteResponse{}, b.err
}
func (b backend) Deregister(context.Context, api.DeregisterRequest) (api.WriteResponse, error) {
	return api.WriteResponse{}, b.err
}
func (b backend) Nodes(context.Context, api.CatalogRequest) (api.List[api.Node], error) {
	return one(b, api.Node{})
}
func (b backend) Services(context.Context, api.CatalogRequest) (api.ServicesResponse, error) {
	return api.ServicesResponse{Services: map[string][]string{"web": nil}}, b.err
}
func (b backend) ServiceNodes(context.Context, api.CatalogRequest) (api.List[api.CatalogService], error) {
	return one(b, api.CatalogService{})
}
func (b backend) NodeServices(context.Context, api.CatalogRequest) (api.NodeServicesResponse, error) {
	return api.NodeServicesResponse{Services: []api.NodeService{{}}}, b.err
}
func (b backend) NodeChecks(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return one(b, api.HealthCheck{})
}
func (b backend) ServiceChecks(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return one(b, api.HealthCheck{})
}
func (b backend) ChecksInState(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return one(b, api.HealthCheck{})
}
func (b backend) HealthOfService(context.Context, api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	return one(b, api.CheckServiceNode{Node: &api.Node{}, Service: &api.NodeService{}, Checks: []api.HealthCheck{{}}})
}
func (b backend) SessionApply(context.Context, api.SessionApplyRequest) (api.SessionApplyResponse, error) {
	return api.SessionApplyResponse{}, b.err
}
func (b backend) SessionRead(context.Context, api.SessionRequest) (api.List[api.Session], error) {
	return one(b, api.Session{})
}
func (b backend) SessionRenew(context.Context, api.SessionRequest) (api.List[api.Session], error) {
	return one(b, api.Session{})
}
func (b backend) TxnApply(context.Context, api.TxnRequest) (api.TxnResponse, error) {
	return api.TxnResponse{}, b.err
}
func (b backend) TxnRead(context.Context, api.TxnReadRequest) (api.TxnReadResponse, error) {
	return api.TxnReadResponse{TxnResponse: api.TxnResponse{Errors: []api.TxnError{{What: "no"}}}}, b.err
}
func (b backend) CoordinateUpdate(context.Context, api.CoordinateUpdate) (api.WriteResponse, error) {
	return api.WriteResponse{}, b.err
}
func (b backend) CoordinateNodes(context.Context, api.CoordinateRequest) (api.List[api.NodeCoordinate], error) {
	return one(b, api.NodeCoordinate{})
}
func (b backend) CoordinateNode(context.Context, api.CoordinateRequest) (api.List[api.NodeCoordinate], error) {
	return one(b, api.NodeCoordinate{})
}
func (b backend) CoordinateDatacenters(context.Context, api.QueryOptions) ([]api.DatacenterCoordinates, error) {
	return nil, b.err
}
func (b backend) QueryApply(context.Context, api.QueryApplyRequest) (api.QueryApplyResponse, error) {
	return api.QueryApplyResponse{}, b.err
}
func (b backend) QueryRead(context.Context, api.QueryRequest) (api.List[api.PreparedQuery], error) {
	return one(b, api.PreparedQuery{})
}
func (b backend) QueryExecute(context.Context, api.QueryExecuteRequest) (api.QueryExecuteResponse, error) {
	return api.QueryExecuteResponse{}, b.err
}
func (b backend) QueryExplain(context.Context, api.QueryExecuteRequest) (api.QueryExplainResponse, error) {
	return api.QueryExplainResponse{}, b.err
}
func (b backend) EventFire(_ context.Context, r api.EventFireRequest) (api.UserEvent, error) {
	return r.Event, b.err
}
func (b backend) EventList(context.Context, api.EventListRequest) (api.List[api.UserEvent], error) {
	return one(b, api.UserEvent{})
}

// locals is what the agent has registered itself: a service and a check.
type locals struct{ backend }

func (b locals) AddService(api.ServiceDefinition, bool) error          { return b.err }
func (b locals) RemoveService(string) error                            { return b.err }
func (b locals) AddCheck(api.CheckDefinition) error                    { return b.err }
func (b locals) RemoveCheck(string) error                              { return b.err }
func (b locals) Touch(string, string, string) error                    { return b.err }
func (b locals) ServiceMaintenance(string, bool, string, string) error { return b.err }
func (b locals) NodeMaintenance(bool, string, string) error            { return b.err }
func (b locals) Services() []api.AgentService {
	return []api.AgentService{{ID: "web", ContentHash: "h"}}
}
func (b locals) Checks() []api.HealthCheck                                   { return []api.HealthCheck{{CheckID: "c"}} }
func (b locals) Flush(context.Context)                                       {}
func (b locals) Changed() <-chan struct{}                                    { return nil }
func (b locals) Health(func(api.AgentService) bool) []api.AgentServiceHealth { return nil }

// failures are what may go wrong behind the API.
func failures() []error {
	return []error{
		nil, fault.New(fault.Internal, "broken"), fault.New(fault.NoLeader, fault.TextNoLeader), fault.New(fault.Invalid, "nonsense"),
		fault.New(fault.NotFound, "nowhere"), fault.New(fault.Denied, fault.TextPermissionDenied), fault.New(fault.TooLarge, "too much"),
	}
}
