package server

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/coordinate"
	"tribune/impl/store"
)

// sortNear sorts what is on nodes by the round trip time from a source, whose own
// node comes first. Where nobody knows a place the distance is the greatest, and
// the order of equals stays as it was.
func sortNear[Item any](tx *store.Txn, from api.Source, items []Item) error {
	name, err := sourceNode(tx, from)
	if err != nil || name == "" {
		return err
	}
	origin, err := coordinate.Find(tx, name)
	if err != nil {
		return err
	}
	distances := map[string]time.Duration{}
	for _, item := range items {
		place, err := coordinate.Find(tx, nodeOf(item))
		if err != nil {
			return err
		}
		if distances[nodeOf(item)] = coordinate.Distance(origin, place); strings.EqualFold(nodeOf(item), name) {
			distances[nodeOf(item)] = 0
		}
	}
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Compare(distances[nodeOf(a)], distances[nodeOf(b)])
	})
	return nil
}

// nodeOf is the name of the node that an item of an answer is, or is on.
func nodeOf(item any) string {
	switch item := item.(type) {
	case api.Node:
		return item.Node
	case api.CatalogService:
		return item.Node
	case api.HealthCheck:
		return item.Node
	case api.CheckServiceNode:
		return item.Node.Node
	}
	return ""
}

// sourceNode is the name of the node that a source means, empty if there is none.
func sourceNode(tx *store.Txn, from api.Source) (string, error) {
	if from.Node != api.NearIP {
		return from.Node, nil
	}
	ip, err := netip.ParseAddr(from.IP)
	if err != nil {
		return "", nil // the client's address cannot be told
	}
	_, nodes, err := catalog.Nodes(tx, nil, nil)
	for _, n := range nodes {
		if at, err := netip.ParseAddr(n.Address); err == nil && at == ip {
			return n.Node, nil
		}
	}
	return "", err
}
