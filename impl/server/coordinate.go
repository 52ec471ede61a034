package server

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/coordinate"
	"tribune/impl/fault"
	"tribune/impl/fsm"
	"tribune/impl/store"
)

// A server commits the coordinates that it heard of every placesPeriod, in few
// commands, since there are many and none is urgent (Consul: its defaults).
const (
	placesPeriod  = 5 * time.Second
	placesBatch   = 128 // nodes of a command
	placesBatches = 5   // commands in a period; more nodes have to send again
)

// places are the coordinates that a server heard of and has not had committed.
type places struct {
	mu     sync.Mutex
	latest map[string]api.NodeCoordinate
	missed int // that found no place
}

// add takes note of a coordinate in place of an older one of that node.
func (p *places) add(c api.NodeCoordinate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strings.ToLower(c.Node) + "\x00" + c.Segment
	if _, known := p.latest[key]; !known && len(p.latest) == placesBatch*placesBatches {
		p.missed++
		return
	}
	if p.latest == nil {
		p.latest = map[string]api.NodeCoordinate{}
	}
	p.latest[key] = c
}

// take returns what there is, sorted by node, and forgets it.
func (p *places) take() (batches [][]api.NodeCoordinate, missed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []api.NodeCoordinate
	for _, c := range p.latest {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b api.NodeCoordinate) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Segment, b.Segment))
	})
	missed = p.missed
	p.latest, p.missed = nil, 0
	return slices.Collect(slices.Chunk(all, placesBatch)), missed
}

// keepPlaces has the coordinates committed that others send.
func (s *Server) keepPlaces() {
	tick := time.NewTicker(placesPeriod)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		batches, missed := s.places.take()
		if missed > 0 {
			s.log.Warn("coordinates were dropped: there were too many", "dropped", missed)
		}
		ctx, cancel := context.WithTimeout(s.ctx, placesPeriod)
		for _, b := range batches {
			if _, err := s.locate(ctx, api.CoordinateBatch{Updates: b}); err != nil && s.ctx.Err() == nil {
				s.log.Warn("coordinates could not be kept; the agents will send them again", "coordinates", len(b), "error", err)
			}
		}
		cancel()
	}
}

// locate commits coordinates.
func (s *Server) locate(ctx context.Context, b api.CoordinateBatch) (api.WriteResponse, error) {
	return write(ctx, s, methodLocate, "", fsm.CoordinateType, b)
}

// CoordinateUpdate takes note of where a node is. That it was not yet committed
// shows in the answer: its index is zero. What makes no sense is fault.Internal,
// for which Consul's status is 500.
func (s *Server) CoordinateUpdate(_ context.Context, u api.CoordinateUpdate) (api.WriteResponse, error) {
	if err := s.checkDatacenter(u.Datacenter); err != nil {
		return api.WriteResponse{}, err
	}
	if u.Node == "" {
		return api.WriteResponse{}, fault.New(fault.Internal, "Must provide node")
	}
	if err := coordinate.Check(u.Coord); err != nil {
		return api.WriteResponse{}, fault.Wrap(fault.Internal, err)
	}
	s.places.add(u.NodeCoordinate)
	return api.WriteResponse{}, nil
}

// CoordinateNodes lists the coordinates of all nodes.
func (s *Server) CoordinateNodes(ctx context.Context, r api.CoordinateRequest) (api.List[api.NodeCoordinate], error) {
	return coordinates(ctx, s, api.MethodCoordinateNodes, r, coordinate.Nodes)
}

// CoordinateNode lists the coordinates of a node: one or none.
func (s *Server) CoordinateNode(ctx context.Context, r api.CoordinateRequest) (api.List[api.NodeCoordinate], error) {
	return coordinates(ctx, s, api.MethodCoordinateNode, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.NodeCoordinate, error) {
		return coordinate.Node(tx, ws, r.Node)
	})
}

func coordinates(ctx context.Context, s *Server, method string, r api.CoordinateRequest, find func(*store.Txn, store.WatchSet) (uint64, []api.NodeCoordinate, error)) (api.List[api.NodeCoordinate], error) {
	return read(ctx, s, method, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.List[api.NodeCoordinate], error) {
		var a api.List[api.NodeCoordinate]
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			index, a.Items, err = find(tx, ws)
			return index, len(a.Items) > 0, err
		})
		return a, err
	})
}

// CoordinateDatacenters lists the coordinates of the servers of each datacenter,
// which is this one, as far as this server knows them.
func (s *Server) CoordinateDatacenters(context.Context, api.QueryOptions) ([]api.DatacenterCoordinates, error) {
	tx := s.fsm.Store().Read()
	own := api.DatacenterCoordinates{Datacenter: s.config.Datacenter, AreaID: api.WANArea, Coordinates: []api.NodeCoordinate{}}
	_, servers, err := catalog.Instances(tx, nil, api.ServerServiceName, nil, nil)
	if err != nil {
		return nil, err
	}
	for _, i := range servers {
		_, found, err := coordinate.Node(tx, nil, i.Node)
		if err != nil {
			return nil, err
		}
		own.Coordinates = append(own.Coordinates, found...)
	}
	return []api.DatacenterCoordinates{own}, nil
}

// Coordinate is where this agent lies in the gossip pool, nil if that cannot be
// told.
func (s *Server) Coordinate() *api.Coordinate { return s.pool.Coordinate() }
