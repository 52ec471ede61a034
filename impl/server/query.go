package server

import (
	"context"
	"math/rand/v2"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/fault"
	"tribune/impl/fsm"
	"tribune/impl/query"
	"tribune/impl/store"
)

// QueryApply creates, changes or deletes a prepared query. What makes no sense is
// fault.Internal, for which Consul's status is 500.
func (s *Server) QueryApply(ctx context.Context, r api.QueryApplyRequest) (api.QueryApplyResponse, error) {
	// Another server that sent a request on has chosen the ID.
	if r.Op == api.QueryCreate && ctx.Value(arrival{}) == nil {
		if r.Query.ID != "" {
			return api.QueryApplyResponse{}, fault.New(fault.Internal, "ID must be empty when creating a new prepared query")
		}
		var err error
		if r.Query.ID, err = uuid.GenerateUUID(); err != nil {
			return api.QueryApplyResponse{}, err
		}
	}
	if r.Op != api.QueryDelete {
		if err := query.Check(r.Query); err != nil {
			return api.QueryApplyResponse{}, fault.New(fault.Internal, "Invalid prepared query: %w", err)
		}
	}
	_, err := write(ctx, s, api.MethodQueryApply, r.Datacenter, fsm.QueryType, r)
	return api.QueryApplyResponse{ID: r.Query.ID}, err
}

func errNoQuery() error { return fault.New(fault.NotFound, "%s", fault.TextNoQuery) }

// QueryRead lists prepared queries. That the one that is asked for is not there is
// fault.NotFound.
func (s *Server) QueryRead(ctx context.Context, r api.QueryRequest) (api.List[api.PreparedQuery], error) {
	return read(ctx, s, api.MethodQueryRead, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.List[api.PreparedQuery], error) {
		var a api.List[api.PreparedQuery]
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			index, a.Items, err = query.Read(tx, ws, r)
			if err == nil && r.ID != "" && len(a.Items) == 0 {
				err = errNoQuery()
			}
			return index, len(a.Items) > 0, err
		})
		return a, err
	})
}

// QueryExplain returns the query that a name stands for. That there is none is
// fault.NotFound, here and in QueryExecute.
func (s *Server) QueryExplain(ctx context.Context, r api.QueryExecuteRequest) (api.QueryExplainResponse, error) {
	return read(ctx, s, api.MethodQueryExplain, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.QueryExplainResponse, error) {
		var a api.QueryExplainResponse
		opts.MinQueryIndex = 0 // nothing to wait for
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, _ store.WatchSet) (index uint64, found bool, err error) {
			q, err := query.Resolve(tx, r.QueryIDOrName)
			if err == nil && q == nil {
				err = errNoQuery()
			}
			if err == nil {
				a.Query = *q
			}
			return 0, true, err
		})
		return a, err
	})
}

// QueryExecute finds the instances of a service that a prepared query asks for.
func (s *Server) QueryExecute(ctx context.Context, r api.QueryExecuteRequest) (api.QueryExecuteResponse, error) {
	return read(ctx, s, api.MethodQueryExecute, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.QueryExecuteResponse, error) {
		var a api.QueryExecuteResponse
		opts.MinQueryIndex = 0 // nothing to wait for
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, _ store.WatchSet) (index uint64, found bool, err error) {
			a.QueryResult, err = execute(tx, r)
			a.Datacenter = s.config.Datacenter
			return 0, true, err
		})
		return a, err
	})
}

func execute(tx *store.Txn, r api.QueryExecuteRequest) (api.QueryResult, error) {
	q, err := query.Resolve(tx, r.QueryIDOrName)
	if err != nil {
		return api.QueryResult{}, err
	}
	if q == nil {
		return api.QueryResult{}, errNoQuery()
	}
	wanted := q.Service
	wanted.Connect = wanted.Connect || r.Connect
	_, all, err := catalog.Health(tx, nil, wanted.Service, nil, nil, false)
	if err != nil {
		return api.QueryResult{}, err
	}
	nodes := query.Choose(wanted, all)
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	from := r.Source
	if from.Node == "" {
		from.Node = wanted.Near
	}
	if from.Node == api.NearAgent {
		from.Node = r.Agent
	}
	if err := sortNear(tx, from, nodes); err != nil {
		return api.QueryResult{}, err
	}
	if r.Limit > 0 {
		nodes = nodes[:min(r.Limit, len(nodes))]
	}
	return api.QueryResult{Service: wanted.Service, Nodes: nodes, DNS: q.DNS}, nil
}
