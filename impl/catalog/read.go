package catalog

import (
	"fmt"
	"slices"
	"strings"

	"tribune/impl/api"
	"tribune/impl/store"
)

// Nodes lists the nodes that have all of meta, by name, with the index to wait
// on. What must be watched is added to ws, here and in all reads.
func Nodes(tx *store.Txn, ws store.WatchSet, meta map[string]string) (uint64, []api.Node, error) {
	index, err := tx.Watch(ws, nodes)
	if err != nil {
		return 0, nil, err
	}
	rows, err := all[api.Node](tx, nodes, "id_prefix")
	if err != nil {
		return 0, nil, err
	}
	var found []api.Node
	for _, n := range rows {
		if includes(n.Meta, meta) {
			found = append(found, *n)
		}
	}
	return index, found, nil
}

// includes reports whether all of part is in whole.
func includes(whole, part map[string]string) bool {
	for k, v := range part {
		if has, there := whole[k]; !there || has != v {
			return false
		}
	}
	return true
}

// Services returns the tags of each service that has instances on nodes with all
// of meta, by name.
func Services(tx *store.Txn, ws store.WatchSet, meta map[string]string) (uint64, map[string][]string, error) {
	names := []string{services}
	if len(meta) > 0 {
		names = append(names, nodes)
	}
	index, err := tx.Watch(ws, names...)
	if err != nil {
		return 0, nil, err
	}
	rows, err := all[instance](tx, services, "id_prefix")
	if err != nil {
		return 0, nil, err
	}
	byName := map[string][]string{}
	for _, s := range rows {
		if len(meta) > 0 {
			n, err := first[api.Node](tx, nodes, "id", s.Node)
			if err != nil {
				return 0, nil, err
			}
			if !includes(n.Meta, meta) {
				continue
			}
		}
		byName[s.Service] = append(byName[s.Service], s.Tags...)
	}
	return index, once(byName), nil
}

// once leaves of each tag of a service one, in order.
func once(byName map[string][]string) map[string][]string {
	for name, tags := range byName {
		slices.Sort(tags)
		byName[name] = slices.Compact(tags)
	}
	return byName
}

// AllInstances lists the instances of all services on nodes that have all of meta,
// by node and ID.
func AllInstances(tx *store.Txn, ws store.WatchSet, meta map[string]string) (uint64, []api.CatalogService, error) {
	index, err := tx.Watch(ws, services, nodes)
	if err != nil {
		return 0, nil, err
	}
	rows, err := all[instance](tx, services, "id_prefix")
	if err != nil {
		return 0, nil, err
	}
	var found []api.CatalogService
	for _, s := range rows {
		n, err := first[api.Node](tx, nodes, "id", s.Node)
		if err != nil {
			return 0, nil, err
		}
		if includes(n.Meta, meta) {
			found = append(found, s.on(n))
		}
	}
	return index, found, nil
}

// TagsByName has the tags of the instances of each service by its name.
func TagsByName(found []api.CatalogService) map[string][]string {
	byName := map[string][]string{}
	for _, s := range found {
		byName[s.ServiceName] = append(byName[s.ServiceName], s.ServiceTags...)
	}
	return once(byName)
}

// watchService watches a service and returns the index to wait on.
func watchService(tx *store.Txn, ws store.WatchSet, name string) (uint64, error) {
	index, err := tx.Watch(ws, of(services, name))
	if err != nil || index > 0 {
		return index, err
	}
	return tx.Index(extinct)
}

// watchNode watches a node with all it has and returns the index to wait on.
func watchNode(tx *store.Txn, ws store.WatchSet, name string) (uint64, error) {
	index, err := tx.Watch(ws, of(nodes, name))
	if err != nil || index > 0 {
		return index, err
	}
	return tx.Index(gone)
}

// Instances lists the instances of a service that have all of the tags, on nodes
// that have all of meta, by node and ID.
func Instances(tx *store.Txn, ws store.WatchSet, name string, tags []string, meta map[string]string) (uint64, []api.CatalogService, error) {
	index, err := watchService(tx, ws, name)
	if err != nil {
		return 0, nil, err
	}
	var found []api.CatalogService
	err = instances(tx, name, tags, meta, func(n *api.Node, s *instance) error {
		found = append(found, s.on(n))
		return nil
	})
	return index, found, err
}

// on is an instance together with its node.
func (s *instance) on(n *api.Node) api.CatalogService {
	return api.CatalogService{
		ID: n.ID, Node: n.Node, Address: n.Address, Datacenter: n.Datacenter, TaggedAddresses: n.TaggedAddresses, NodeMeta: n.Meta,
		ServiceID: s.ID, ServiceName: s.Service, ServiceTags: s.Tags, ServiceAddress: s.Address,
		ServiceTaggedAddresses: s.TaggedAddresses, ServiceWeights: s.Weights, ServiceMeta: s.Meta, ServicePort: s.Port,
		ServiceEnableTagOverride: s.EnableTagOverride, RaftIndex: s.RaftIndex,
	}
}

func instances(tx *store.Txn, name string, tags []string, meta map[string]string, visit func(*api.Node, *instance) error) error {
	rows, err := all[instance](tx, services, "name", name)
	if err != nil {
		return err
	}
	for _, s := range rows {
		n, err := first[api.Node](tx, nodes, "id", s.Node)
		if err != nil {
			return err
		}
		if !tagged(s.Tags, tags) || !includes(n.Meta, meta) {
			continue
		}
		if err := visit(n, s); err != nil {
			return err
		}
	}
	return nil
}

// tagged reports whether all of want are in tags, whatever their case.
func tagged(tags, want []string) bool {
	for _, w := range want {
		if !slices.ContainsFunc(tags, func(t string) bool { return strings.EqualFold(t, w) }) {
			return false
		}
	}
	return true
}

// Node returns a node, nil if there is none, and its services by ID.
func Node(tx *store.Txn, ws store.WatchSet, name string) (uint64, *api.Node, []api.NodeService, error) {
	index, err := watchNode(tx, ws, name)
	if err != nil {
		return 0, nil, nil, err
	}
	n, err := first[api.Node](tx, nodes, "id", name)
	if err != nil || n == nil {
		return index, nil, nil, err
	}
	rows, err := all[instance](tx, services, "id_prefix", name)
	var found []api.NodeService
	for _, s := range rows {
		found = append(found, s.NodeService)
	}
	return index, n, found, err
}

// minIDPrefix is the fewest bytes of a node's ID by which it is found, as in Consul.
const minIDPrefix = 2

// Named returns the name of the node that somebody means by its name or its ID: of the
// ID its beginning is enough, if no other node's begins so. What is neither is taken
// for the name of a node that is not there.
func Named(tx *store.Txn, nameOrID string) (string, error) {
	n, err := Find(tx, nameOrID)
	if err != nil || n != nil || len(nameOrID) < minIDPrefix {
		return nameOrID, err
	}
	found, err := all[api.Node](tx, nodes, "uuid_prefix", nameOrID)
	if err != nil || len(found) != 1 {
		return nameOrID, err
	}
	return found[0].Node, nil
}

// Find returns a node, nil if there is none.
func Find(tx *store.Txn, name string) (*api.Node, error) {
	return first[api.Node](tx, nodes, "id", name)
}

// Support returns an error in Consul's words unless a node is there and each of
// the checks is on it and is not critical: what a session stands on.
func Support(tx *store.Txn, node string, needed []string) error {
	n, err := Find(tx, node)
	if err != nil {
		return err
	}
	if n == nil {
		return errNoNode
	}
	for _, id := range needed {
		c, err := first[api.HealthCheck](tx, checks, "id", node, id)
		switch {
		case err != nil:
			return err
		case c == nil:
			return refusal(fmt.Sprintf("Missing check '%s' registration", id))
		case c.Status == api.HealthCritical:
			return refusal(fmt.Sprintf("Check '%s' is in %s state", id, c.Status))
		}
	}
	return nil
}

// ChecksOfNode lists the checks of a node and of its services, by ID.
func ChecksOfNode(tx *store.Txn, ws store.WatchSet, name string) (uint64, []api.HealthCheck, error) {
	index, err := watchNode(tx, ws, name)
	if err != nil {
		return 0, nil, err
	}
	rows, err := all[api.HealthCheck](tx, checks, "id_prefix", name)
	return index, values(rows), err
}

// values are copies of the rows of several lists.
func values[Row any](lists ...[]*Row) []Row {
	rows := 0
	for _, list := range lists {
		rows += len(list)
	}
	found := slices.Grow([]Row(nil), rows)
	for _, list := range lists {
		for _, row := range list {
			found = append(found, *row)
		}
	}
	return found
}

// ChecksOfService lists the checks of all instances of a service on nodes that
// have all of meta, by node and ID.
func ChecksOfService(tx *store.Txn, ws store.WatchSet, name string, meta map[string]string) (uint64, []api.HealthCheck, error) {
	index, err := watchService(tx, ws, name)
	if err != nil {
		return 0, nil, err
	}
	rows, err := all[api.HealthCheck](tx, checks, "name", name)
	if err != nil {
		return 0, nil, err
	}
	found, err := onNodes(tx, rows, meta)
	return index, found, err
}

// ChecksInState lists the checks in a state, or in any, on nodes that have all of
// meta.
func ChecksInState(tx *store.Txn, ws store.WatchSet, state string, meta map[string]string) (uint64, []api.HealthCheck, error) {
	names, by, args := []string{checks}, "state", []any{state}
	if len(meta) > 0 {
		names = append(names, nodes)
	}
	if state == api.HealthAny {
		by, args = "id_prefix", nil
	}
	index, err := tx.Watch(ws, names...)
	if err != nil {
		return 0, nil, err
	}
	rows, err := all[api.HealthCheck](tx, checks, by, args...)
	if err != nil {
		return 0, nil, err
	}
	found, err := onNodes(tx, rows, meta)
	return index, found, err
}

// onNodes are the checks on nodes that have all of meta.
func onNodes(tx *store.Txn, rows []*api.HealthCheck, meta map[string]string) ([]api.HealthCheck, error) {
	if len(meta) == 0 {
		return values(rows), nil
	}
	var found []api.HealthCheck
	for _, c := range rows {
		n, err := first[api.Node](tx, nodes, "id", c.Node)
		if err != nil {
			return nil, err
		}
		if includes(n.Meta, meta) {
			found = append(found, *c)
		}
	}
	return found, nil
}

// Health lists the instances of a service as Instances does, each with its node
// and the checks of both. With passing only those all of whose checks pass.
func Health(tx *store.Txn, ws store.WatchSet, name string, tags []string, meta map[string]string, passing bool) (uint64, []api.CheckServiceNode, error) {
	index, err := watchService(tx, ws, name)
	if err != nil {
		return 0, nil, err
	}
	var found []api.CheckServiceNode
	err = instances(tx, name, tags, meta, func(n *api.Node, s *instance) error {
		ofNode, err := all[api.HealthCheck](tx, checks, "service", n.Node, "")
		if err != nil {
			return err
		}
		own, err := all[api.HealthCheck](tx, checks, "service", n.Node, s.ID)
		if err != nil {
			return err
		}
		both := values(ofNode, own)
		if passing && slices.ContainsFunc(both, func(c api.HealthCheck) bool { return c.Status != api.HealthPassing }) {
			return nil
		}
		found = append(found, api.CheckServiceNode{Node: n, Service: &s.NodeService, Checks: both})
		return nil
	})
	return index, found, err
}

// CountNodes returns how many nodes there are.
func CountNodes(tx *store.Txn) (int, error) { return tx.Count(nodes) }

// CountInstances returns how many instances of services there are.
func CountInstances(tx *store.Txn) (int, error) { return tx.Count(services) }

// CountServices returns how many services there are, by their names.
func CountServices(tx *store.Txn) (int, error) {
	rows, err := all[instance](tx, services, "name")
	n := 0
	for i, s := range rows {
		if i == 0 || !strings.EqualFold(s.Service, rows[i-1].Service) {
			n++
		}
	}
	return n, err
}
