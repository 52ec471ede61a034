package agent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"tribune/impl/api"
)

// An agent sends its coordinate so often that all agents together send
// coordinateRate a second, but not more often than every coordinateInterval
// (Consul: sync_coordinate_rate_target, sync_coordinate_interval_min).
const (
	coordinateRate     = 64
	coordinateInterval = 15 * time.Second
	coordinateTimeout  = 10 * time.Second
)

// located is what knows where the agent lies in its gossip pool, and brings that
// to a server.
type located interface {
	Members() []api.Member
	Coordinate() *api.Coordinate
	CoordinateUpdate(context.Context, api.CoordinateUpdate) (api.WriteResponse, error)
}

// sendCoordinates tells the servers every so often where a node is, until ctx
// ends.
func sendCoordinates(ctx context.Context, node string, l located, log *slog.Logger) {
	for {
		every := coordinatePause(len(l.Members()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(every + rand.N(every)):
		}
		c := l.Coordinate()
		if c == nil {
			continue
		}
		sending, cancel := context.WithTimeout(ctx, coordinateTimeout)
		_, err := l.CoordinateUpdate(sending, api.CoordinateUpdate{NodeCoordinate: api.NodeCoordinate{Node: node, Coord: c}})
		cancel()
		if err != nil && ctx.Err() == nil {
			log.Warn("no server took this agent's coordinate", "error", err)
		}
	}
}

// coordinatePause is how often each of some agents sends.
func coordinatePause(agents int) time.Duration {
	return max(coordinateInterval, time.Duration(agents)*time.Second/coordinateRate)
}
