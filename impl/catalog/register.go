package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"tribune/impl/api"
	"tribune/impl/store"
)

// refusal is why a registration cannot be. The texts are Consul's; clients match
// on them.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errNoNode    refusal = "Missing node registration"
	errNoService refusal = "Missing service registration"
)

// Register carries out a registration at a raft index and returns the nodes that
// it concerns. An error means that something it stands on is missing or taken;
// then nothing was changed.
func Register(tx *store.Txn, index uint64, r api.RegisterRequest) (touched []string, err error) {
	if r.Service != nil && r.Service.ID == "" {
		s := *r.Service
		s.ID = s.Service
		r.Service = &s
	}
	if err := refuse(tx, r); err != nil {
		return nil, err
	}
	touched = []string{r.Node}
	if _, before, err := contenders(tx, r); err != nil {
		return nil, err
	} else if before != nil {
		touched = append(touched, before.Node)
	}
	if err := ensureNode(tx, index, r); err != nil {
		return nil, err
	}
	if r.Service != nil {
		if err := ensureService(tx, index, r.Node, *r.Service); err != nil {
			return nil, err
		}
	}
	for _, c := range checksOf(r) {
		if err := ensureCheck(tx, index, c); err != nil {
			return nil, err
		}
	}
	return touched, nil
}

// checksOf are the checks of a registration, each with its node.
func checksOf(r api.RegisterRequest) []api.HealthCheck {
	all := slices.Clone(r.Checks)
	if r.Check != nil {
		all = slices.Insert(all, 0, *r.Check)
	}
	for i := range all {
		all[i].Node = cmp.Or(all[i].Node, r.Node)
	}
	return all
}

// refuse returns why a registration cannot be, if it cannot. Several commands
// share a transaction, so this is found out before anything is changed.
func refuse(tx *store.Txn, r api.RegisterRequest) error {
	holder, before, err := contenders(tx, r)
	if err != nil {
		return err
	}
	if before != nil {
		lives, err := living(tx, before.Node)
		if err != nil {
			return err
		}
		if lives {
			return refusal(fmt.Sprintf("Node ID %s is in use by node %s (%s), which lives; %s needs an ID of its own", r.ID, before.Node, before.Address, r.Node))
		}
	}
	if before != nil || r.ID != "" && holder != nil && holder.ID != "" && !strings.EqualFold(holder.ID, r.ID) {
		if err := reserved(tx, r.Node, holder); err != nil {
			return err
		}
	}
	for _, c := range checksOf(r) {
		if !strings.EqualFold(c.Node, r.Node) {
			return refusal(fmt.Sprintf("check node %q does not match node %q", c.Node, r.Node))
		}
		if c.ServiceID == "" || r.Service != nil && strings.EqualFold(r.Service.ID, c.ServiceID) {
			continue
		}
		if s, err := first[instance](tx, services, "id", r.Node, c.ServiceID); err != nil {
			return err
		} else if s == nil {
			return errNoService
		}
	}
	return nil
}

// contenders returns the node that has the name of a registration, and the node
// that has its ID, in whatever case, under another name.
func contenders(tx *store.Txn, r api.RegisterRequest) (holder, before *api.Node, err error) {
	if holder, err = first[api.Node](tx, nodes, "id", r.Node); err != nil {
		return nil, nil, err
	}
	if r.ID == "" || holder != nil && (r.SkipNodeUpdate || strings.EqualFold(holder.ID, r.ID)) {
		return holder, nil, nil
	}
	before, err = first[api.Node](tx, nodes, "uuid", r.ID)
	return holder, before, err
}

// reserved returns an error if a node that has a name is not known to be down: it
// keeps it.
func reserved(tx *store.Txn, name string, holder *api.Node) error {
	if holder == nil {
		return nil
	}
	lives, err := living(tx, holder.Node)
	if err != nil || !lives {
		return err
	}
	return refusal(fmt.Sprintf("Node name %s is reserved by node %s with name %s (%s)", name, holder.ID, holder.Node, holder.Address))
}

// living reports whether a node has an agent that lives as far as gossip knows.
func living(tx *store.Txn, node string) (bool, error) {
	serf, err := first[api.HealthCheck](tx, checks, "id", node, api.SerfCheckID)
	return serf != nil && serf.Status != api.HealthCritical, err
}

// first returns the first row that an index finds, nil if there is none.
func first[Row any](tx *store.Txn, table, index string, args ...any) (*Row, error) {
	_, row, err := tx.First(table, index, args...)
	if err != nil {
		return nil, fmt.Errorf("catalog: looking into %s: %w", table, err)
	}
	found, _ := row.(*Row)
	return found, nil
}

// all returns all rows that an index finds, in its order.
func all[Row any](tx *store.Txn, table, index string, args ...any) ([]*Row, error) {
	rows, err := tx.Get(table, index, args...)
	if err != nil {
		return nil, fmt.Errorf("catalog: reading %s: %w", table, err)
	}
	var found []*Row
	for row := rows.Next(); row != nil; row = rows.Next() {
		found = append(found, row.(*Row))
	}
	return found, nil
}

// put inserts a row and moves indexes.
func put(tx *store.Txn, index uint64, table string, row any, moved ...string) error {
	if err := tx.Insert(table, row); err != nil {
		return fmt.Errorf("catalog: writing %s: %w", table, err)
	}
	return move(tx, index, append(moved, table)...)
}

func move(tx *store.Txn, index uint64, names ...string) error {
	for _, name := range names {
		if err := tx.SetIndex(name, index); err != nil {
			return err
		}
	}
	return nil
}

func ensureNode(tx *store.Txn, index uint64, r api.RegisterRequest) error {
	n := api.Node{
		ID: r.ID, Node: r.Node, Address: r.Address, Datacenter: r.Datacenter, TaggedAddresses: r.TaggedAddresses, Meta: r.NodeMeta,
		RaftIndex: api.RaftIndex{CreateIndex: index, ModifyIndex: index},
	}
	old, before, err := contenders(tx, r)
	if err != nil || old != nil && r.SkipNodeUpdate {
		return err
	}
	if before != nil { // the node has another name now
		n.CreateIndex = before.CreateIndex
		if err := removeNode(tx, index, before.Node); err != nil {
			return err
		}
	}
	if old != nil {
		n.CreateIndex = old.CreateIndex
		if n.ID == "" || strings.EqualFold(n.ID, old.ID) {
			n.ID = old.ID
		}
		if r.KeepMeta {
			n.TaggedAddresses, n.Meta = old.TaggedAddresses, old.Meta
		}
		if sameNode(*old, n) {
			return nil
		}
	}
	if err := put(tx, index, nodes, &n, of(nodes, n.Node)); err != nil {
		return err
	}
	return moveServicesOf(tx, index, n.Node)
}

func sameNode(a, b api.Node) bool {
	return a.ID == b.ID && a.Node == b.Node && a.Address == b.Address && a.Datacenter == b.Datacenter &&
		maps.Equal(a.TaggedAddresses, b.TaggedAddresses) && maps.Equal(a.Meta, b.Meta)
}

// moveServicesOf moves the indexes of all services of a node.
func moveServicesOf(tx *store.Txn, index uint64, node string) error {
	rows, err := all[instance](tx, services, "id_prefix", node)
	if err != nil {
		return err
	}
	for _, i := range rows {
		if err := move(tx, index, of(services, i.Service)); err != nil {
			return err
		}
	}
	return nil
}

func ensureService(tx *store.Txn, index uint64, node string, s api.NodeService) error {
	on, err := first[api.Node](tx, nodes, "id", node)
	if err != nil {
		return err
	}
	if s.Weights == (api.Weights{}) {
		s.Weights = api.Weights{Passing: 1, Warning: 1}
	}
	s.Weights = api.Weights{Passing: max(s.Weights.Passing, 1), Warning: max(s.Weights.Warning, 0)}
	row := instance{on.Node, s}
	row.RaftIndex = api.RaftIndex{CreateIndex: index, ModifyIndex: index}
	old, err := first[instance](tx, services, "id", node, s.ID)
	if err != nil {
		return err
	}
	if old != nil {
		row.CreateIndex = old.CreateIndex
		if sameService(old.NodeService, s) {
			return nil
		}
	}
	if err := put(tx, index, services, &row, of(services, s.Service), of(nodes, node)); err != nil {
		return err
	}
	if old == nil || old.Service == s.Service && slices.Equal(old.Tags, s.Tags) {
		return nil
	}
	if err := relabel(tx, index, &row); err != nil {
		return err
	}
	if !strings.EqualFold(old.Service, s.Service) {
		return bury(tx, index, old.Service)
	}
	return nil
}

// relabel gives the checks of a service its present name and tags.
func relabel(tx *store.Txn, index uint64, s *instance) error {
	own, err := all[api.HealthCheck](tx, checks, "service", s.Node, s.ID)
	if err != nil {
		return err
	}
	for _, old := range own {
		c := *old
		c.ServiceName, c.ServiceTags, c.ModifyIndex = s.Service, s.Tags, index
		if err := put(tx, index, checks, &c); err != nil {
			return err
		}
	}
	return nil
}

func sameService(a, b api.NodeService) bool {
	return a.ID == b.ID && a.Service == b.Service && slices.Equal(a.Tags, b.Tags) && a.Address == b.Address && a.Port == b.Port &&
		a.Weights == b.Weights && a.EnableTagOverride == b.EnableTagOverride &&
		maps.Equal(a.TaggedAddresses, b.TaggedAddresses) && maps.Equal(a.Meta, b.Meta)
}

// bury moves the index of a service that lost an instance; when that was the last
// one it is forgotten.
func bury(tx *store.Txn, index uint64, service string) error {
	left, err := first[instance](tx, services, "name", service)
	if err != nil {
		return err
	}
	if left != nil {
		return move(tx, index, of(services, service), services)
	}
	if err := tx.DropIndex(of(services, service)); err != nil {
		return err
	}
	return move(tx, index, extinct, services)
}

func ensureCheck(tx *store.Txn, index uint64, c api.HealthCheck) error {
	on, err := first[api.Node](tx, nodes, "id", c.Node)
	if err != nil {
		return err
	}
	if c.Status == "" {
		c.Status = api.HealthCritical
	}
	c.Node, c.ServiceName, c.ServiceTags = on.Node, "", nil
	if c.ServiceID != "" {
		s, err := first[instance](tx, services, "id", c.Node, c.ServiceID)
		if err != nil {
			return err
		}
		c.ServiceName, c.ServiceTags = s.Service, s.Tags
	}
	c.RaftIndex = api.RaftIndex{CreateIndex: index, ModifyIndex: index}
	old, err := first[api.HealthCheck](tx, checks, "id", c.Node, c.CheckID)
	if err != nil {
		return err
	}
	c.Spell = spell(index, old, c)
	if old != nil {
		c.CreateIndex = old.CreateIndex
		if sameCheck(*old, c) {
			return nil
		}
	}
	if err := put(tx, index, checks, &c, of(nodes, c.Node)); err != nil {
		return err
	}
	if old != nil && old.ServiceName != c.ServiceName {
		if err := concern(tx, index, *old); err != nil {
			return err
		}
	}
	return concern(tx, index, c)
}

func sameCheck(a, b api.HealthCheck) bool {
	a.RaftIndex, b.RaftIndex = api.RaftIndex{}, api.RaftIndex{}
	tags := slices.Equal(a.ServiceTags, b.ServiceTags)
	a.ServiceTags, b.ServiceTags = nil, nil
	return tags && a.Node == b.Node && a.CheckID == b.CheckID && a.Name == b.Name && a.Status == b.Status && a.Notes == b.Notes &&
		a.Output == b.Output && a.ServiceID == b.ServiceID && a.ServiceName == b.ServiceName && a.Type == b.Type &&
		a.Interval == b.Interval && a.Timeout == b.Timeout && reflect.DeepEqual(a.Definition, b.Definition)
}

// concern moves the indexes of the services that a check is about: one, or all of
// its node.
func concern(tx *store.Txn, index uint64, c api.HealthCheck) error {
	if c.ServiceID == "" {
		return moveServicesOf(tx, index, c.Node)
	}
	return move(tx, index, of(services, c.ServiceName))
}
