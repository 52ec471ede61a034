package httpapi

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Coordinate is where the nodes are.
type Coordinate interface {
	CoordinateUpdate(context.Context, api.CoordinateUpdate) (api.WriteResponse, error)
	CoordinateNodes(context.Context, api.CoordinateRequest) (api.List[api.NodeCoordinate], error)
	CoordinateNode(context.Context, api.CoordinateRequest) (api.List[api.NodeCoordinate], error)
	CoordinateDatacenters(context.Context, api.QueryOptions) ([]api.DatacenterCoordinates, error)
}

// coordinateFace answers for coordinates.
type coordinateFace struct {
	Coordinate Coordinate
	off        bool
}

// endpoints is its part of the table.
func (s coordinateFace) endpoints() []endpoint {
	get, put := []string{"GET"}, []string{"PUT"}
	all := []endpoint{
		{"/v1/coordinate/datacenters", get, s.datacenters},
		{"/v1/coordinate/nodes", get, s.nodes},
		{"/v1/coordinate/node/", get, s.node},
		{"/v1/coordinate/update", put, s.update},
	}
	if s.off {
		for i := range all {
			all[i].handle = disabled
		}
	}
	return all
}

// disabled answers for an agent that does not take part in coordinates.
func disabled(w http.ResponseWriter, _ *http.Request) (any, error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, "Coordinate support disabled") // the client went away, if it cannot be told
	return nil, nil
}

func (s coordinateFace) datacenters(_ http.ResponseWriter, r *http.Request) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	return s.Coordinate.CoordinateDatacenters(r.Context(), o)
}

func (s coordinateFace) nodes(w http.ResponseWriter, r *http.Request) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	a, err := s.Coordinate.CoordinateNodes(r.Context(), api.CoordinateRequest{QueryOptions: o})
	return found(w, ofSegment(a, r), err)
}

func (s coordinateFace) node(w http.ResponseWriter, r *http.Request) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(r.URL.Path, "/v1/coordinate/node/")
	if name == "" {
		return nil, fault.New(fault.Invalid, "Missing node name")
	}
	a, err := s.Coordinate.CoordinateNode(r.Context(), api.CoordinateRequest{Node: name, QueryOptions: o})
	if a = ofSegment(a, r); err == nil && len(a.Items) == 0 {
		writeMeta(w, a.QueryMeta)
		w.WriteHeader(http.StatusNotFound)
		return nil, nil
	}
	return found(w, a, err)
}

// ofSegment keeps the coordinates of one segment, if one is asked for.
func ofSegment(a api.List[api.NodeCoordinate], r *http.Request) api.List[api.NodeCoordinate] {
	if q := r.URL.Query(); q.Has("segment") {
		a.Items = slices.DeleteFunc(a.Items, func(c api.NodeCoordinate) bool { return c.Segment != q.Get("segment") })
	}
	return a
}

func (s coordinateFace) update(w http.ResponseWriter, r *http.Request) (any, error) {
	var u api.CoordinateUpdate
	if err := change(r, &u, &u.WriteOptions); err != nil {
		return nil, err
	}
	if _, err := s.Coordinate.CoordinateUpdate(r.Context(), u); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return nil, nil
}
