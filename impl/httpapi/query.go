package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Query is the prepared queries.
type Query interface {
	QueryApply(context.Context, api.QueryApplyRequest) (api.QueryApplyResponse, error)
	QueryRead(context.Context, api.QueryRequest) (api.List[api.PreparedQuery], error)
	QueryExecute(context.Context, api.QueryExecuteRequest) (api.QueryExecuteResponse, error)
	QueryExplain(context.Context, api.QueryExecuteRequest) (api.QueryExplainResponse, error)
}

// queryFace answers for prepared queries.
type queryFace struct {
	Query Query
	Agent Agent
}

// endpoints is its part of the table.
func (s queryFace) endpoints() []endpoint {
	return []endpoint{
		{"/v1/query", []string{"GET", "POST"}, s.all},
		{queryPath, queryMethods(queryPath), s.one},
	}
}

// queryPath is followed by the ID of a query, or by its name and what is to be done
// with it.
const queryPath = "/v1/query/"

// queryMethods are those of a path that begins with queryPath. A query is executed or
// explained by GET alone.
func queryMethods(path string) []string {
	name := strings.TrimPrefix(path, queryPath)
	if strings.HasSuffix(name, "/execute") || strings.HasSuffix(name, "/explain") {
		return []string{"GET"}
	}
	return []string{"GET", "PUT", "DELETE"}
}

func (s queryFace) all(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method == http.MethodPost {
		a, err := s.apply(r, api.QueryCreate, "")
		return map[string]string{"ID": a.ID}, err
	}
	return s.read(w, r, "")
}

func (s queryFace) one(w http.ResponseWriter, r *http.Request) (any, error) {
	id := strings.TrimPrefix(r.URL.Path, queryPath)
	name, execute := strings.CutSuffix(id, "/execute")
	name, explain := strings.CutSuffix(name, "/explain")
	if name == "" {
		return nil, fault.New(fault.Invalid, "Missing query ID")
	}
	var err error
	switch {
	case r.Method == http.MethodPut:
		_, err = s.apply(r, api.QueryUpdate, id)
	case r.Method == http.MethodDelete:
		_, err = s.apply(r, api.QueryDelete, id)
	case execute:
		return s.execute(w, r, name)
	case explain:
		return s.explain(w, r, name)
	default:
		return s.read(w, r, id)
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	return nil, err
}

func (s queryFace) apply(r *http.Request, op api.QueryOp, id string) (api.QueryApplyResponse, error) {
	q := r.URL.Query()
	request := api.QueryApplyRequest{Op: op, WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)}}
	if op != api.QueryDelete {
		if err := decode(r, &request.Query); err != nil && (op == api.QueryCreate || !errors.Is(err, io.EOF)) {
			return api.QueryApplyResponse{}, err
		}
	}
	if op != api.QueryCreate {
		request.Query.ID = id
	}
	return s.Query.QueryApply(r.Context(), request)
}

func (s queryFace) read(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	a, err := s.Query.QueryRead(r.Context(), api.QueryRequest{ID: id, QueryOptions: o})
	return found(w, a, err)
}

// executeRequest reads the parameters of an execution.
func (s queryFace) executeRequest(r *http.Request, name string) (api.QueryExecuteRequest, error) {
	o, err := options(r)
	request := api.QueryExecuteRequest{QueryIDOrName: name, Source: source(r, s.Agent), Agent: s.Agent.Identity().NodeName, QueryOptions: o}
	if err != nil {
		return request, err
	}
	q := r.URL.Query()
	if limit := q.Get("limit"); limit != "" {
		if request.Limit, err = strconv.Atoi(limit); err != nil {
			return request, fault.New(fault.Internal, "Bad limit: %w", err)
		}
	}
	if v := q.Get("connect"); v != "" {
		if request.Connect, err = strconv.ParseBool(v); err != nil {
			return request, fault.New(fault.Internal, "Error parsing 'connect' value: %w", err)
		}
	}
	return request, nil
}

func (s queryFace) execute(w http.ResponseWriter, r *http.Request, name string) (any, error) {
	request, err := s.executeRequest(r, name)
	if err != nil {
		return nil, err
	}
	a, err := s.Query.QueryExecute(r.Context(), request)
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	a.Nodes = listed(a.Nodes)
	shown(a.Nodes)
	return a.QueryResult, nil
}

func (s queryFace) explain(w http.ResponseWriter, r *http.Request, name string) (any, error) {
	request, err := s.executeRequest(r, name)
	if err != nil {
		return nil, err
	}
	a, err := s.Query.QueryExplain(r.Context(), request)
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	return map[string]api.PreparedQuery{"Query": a.Query}, nil
}
