package catalog

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/store"
)

// target is what an operation of a transaction is about: a row that may be there,
// and how it is written and removed.
type target struct {
	what     string // "node", "service" or "check", with its name
	there    bool
	modified uint64
	set      func() ([]string, error)
	remove   func() error
	result   func() (api.TxnResult, error)
}

// Step carries out an operation of a transaction on a node, a service or a check
// at a raft index. It returns what it found or made, if anything is left, and the
// nodes that it concerns. After an error the transaction must be dropped.
func Step(tx *store.Txn, index uint64, op api.TxnOp) (results []api.TxnResult, touched []string, err error) {
	var t target
	verb, kind := "", ""
	var modified uint64 // that the operation compares with
	switch {
	case op.Node != nil:
		verb, kind, modified = op.Node.Verb, "Node", op.Node.Node.ModifyIndex
		t, err = nodeTarget(tx, index, verb, op.Node.Node)
	case op.Service != nil:
		verb, kind, modified = op.Service.Verb, "Service", op.Service.Service.ModifyIndex
		t, err = serviceTarget(tx, index, op.Service.Node, op.Service.Service)
	case op.Check != nil:
		verb, kind, modified = op.Check.Verb, "Check", op.Check.Check.ModifyIndex
		t, err = checkTarget(tx, index, op.Check.Check)
	default:
		return nil, nil, refusal("no operation specified")
	}
	if err != nil {
		return nil, nil, err
	}
	stale := !t.there && modified != 0 || t.there && t.modified != modified
	switch {
	case verb == api.TxnGet && !t.there:
		return nil, nil, refusal(t.what + " doesn't exist")
	case verb == api.TxnGet:
	case verb == api.TxnSet, verb == api.TxnCAS && !stale:
		touched, err = t.set()
	case verb == api.TxnDelete, verb == api.TxnDeleteCAS && t.there && !stale:
		return nil, nil, t.remove()
	case verb == api.TxnCAS:
		return nil, nil, refusal("failed to set " + t.what + ", index is stale")
	case verb == api.TxnDeleteCAS:
		return nil, nil, refusal("failed to delete " + t.what + ", index is stale")
	default:
		return nil, nil, refusal(fmt.Sprintf("unknown %s verb %q", kind, verb))
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := t.result()
	return []api.TxnResult{r}, touched, err
}

func nodeTarget(tx *store.Txn, index uint64, verb string, n api.Node) (target, error) {
	named := func() (*api.Node, error) { return first[api.Node](tx, nodes, "id", n.Node) }
	find := func() (*api.Node, error) {
		if n.ID != "" {
			return first[api.Node](tx, nodes, "uuid", n.ID)
		}
		return named()
	}
	look := named // an ID is what a node gets, and not what it is compared by (as in Consul)
	if verb == api.TxnGet {
		look = find
	}
	old, err := look()
	t := target{what: fmt.Sprintf("node %q", n.Node), there: old != nil}
	if old != nil {
		t.modified = old.ModifyIndex
	}
	t.set = func() ([]string, error) {
		return Register(tx, index, api.RegisterRequest{
			ID: n.ID, Node: n.Node, Address: n.Address, TaggedAddresses: n.TaggedAddresses, NodeMeta: n.Meta,
			WriteOptions: api.WriteOptions{Datacenter: n.Datacenter},
		})
	}
	t.remove = func() error { return removeNode(tx, index, n.Node) }
	t.result = func() (api.TxnResult, error) {
		now, err := find()
		return api.TxnResult{Node: now}, err
	}
	return t, err
}

func serviceTarget(tx *store.Txn, index uint64, node string, s api.NodeService) (target, error) {
	if s.ID == "" {
		s.ID = s.Service
	}
	find := func() (*instance, error) { return first[instance](tx, services, "id", node, s.ID) }
	old, err := find()
	t := target{what: fmt.Sprintf("service %q on node %q", s.ID, node), there: old != nil}
	if old != nil {
		t.modified = old.ModifyIndex
	}
	t.set = func() ([]string, error) {
		if err := Support(tx, node, nil); err != nil {
			return nil, err
		}
		return Register(tx, index, api.RegisterRequest{Node: node, SkipNodeUpdate: true, Service: &s})
	}
	t.remove = func() error {
		if old == nil {
			return nil
		}
		return removeService(tx, index, old)
	}
	t.result = func() (api.TxnResult, error) {
		now, err := find()
		if err != nil {
			return api.TxnResult{}, err
		}
		return api.TxnResult{Service: &now.NodeService}, nil
	}
	return t, err
}

func checkTarget(tx *store.Txn, index uint64, c api.HealthCheck) (target, error) {
	find := func() (*api.HealthCheck, error) {
		return first[api.HealthCheck](tx, checks, "id", c.Node, c.CheckID)
	}
	old, err := find()
	t := target{what: fmt.Sprintf("check %q on node %q", c.CheckID, c.Node), there: old != nil}
	if old != nil {
		t.modified = old.ModifyIndex
	}
	t.set = func() ([]string, error) {
		if err := Support(tx, c.Node, nil); err != nil {
			return nil, err
		}
		return Register(tx, index, api.RegisterRequest{Node: c.Node, SkipNodeUpdate: true, Check: &c})
	}
	t.remove = func() error {
		if old == nil {
			return nil
		}
		return removeCheck(tx, index, old)
	}
	t.result = func() (api.TxnResult, error) {
		now, err := find()
		return api.TxnResult{Check: now}, err
	}
	return t, err
}
