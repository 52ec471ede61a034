package fsm

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/kv"
	"tribune/impl/session"
	"tribune/impl/store"
)

// applyTxn carries out a transaction in a store transaction of its own, which is
// dropped when an operation fails.
func (f *FSM) applyTxn(index uint64, body []byte) any {
	var r api.TxnRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a transaction: %w", err)
	}
	tx := f.store.Write()
	defer tx.Abort()
	a := f.steps(tx, index, r.Ops, r.AsOf)
	if len(a.Errors) > 0 {
		f.lost = nil
		return a
	}
	f.commit(tx)
	return a
}

// ReadTxn answers a transaction whose operations only read.
func (f *FSM) ReadTxn(tx *store.Txn, ops []api.TxnOp) api.TxnResponse { return f.steps(tx, 0, ops, 0) }

func (f *FSM) steps(tx *store.Txn, index uint64, ops []api.TxnOp, asOf uint64) api.TxnResponse {
	var a api.TxnResponse
	for i, op := range ops {
		results, err := f.step(tx, index, op, asOf)
		if err != nil {
			a.Errors = append(a.Errors, api.TxnError{OpIndex: i, What: err.Error()})
		}
		a.Results = append(a.Results, results...)
	}
	if len(a.Errors) > 0 {
		a.Results = nil
	}
	return a
}

func (f *FSM) step(tx *store.Txn, index uint64, op api.TxnOp, asOf uint64) ([]api.TxnResult, error) {
	switch {
	case op.KV != nil:
		if op.KV.Verb == api.TxnLock {
			if err := exists(tx, op.KV.Session); err != nil {
				return nil, err
			}
		}
		entries, err := kv.Step(tx, index, *op.KV, asOf)
		if err == nil && op.KV.Verb == api.TxnLock {
			f.taken(op.KV.Key)
		}
		var results []api.TxnResult
		for i := range entries {
			results = append(results, api.TxnResult{KV: &entries[i]})
		}
		return results, err
	case op.Session != nil && op.Session.Verb == api.TxnDelete:
		return nil, f.end(tx, index, op.Session.Session.ID)
	case op.Session != nil:
		return nil, fmt.Errorf("unknown Session verb %q", op.Session.Verb)
	}
	results, touched, err := catalog.Step(tx, index, op)
	if err != nil || op.Reads() {
		return results, err
	}
	return results, f.review(tx, index, append(touched, nodeOf(op))...)
}

// nodeOf is the node that an operation on the catalog is about.
func nodeOf(op api.TxnOp) string {
	switch {
	case op.Node != nil:
		return op.Node.Node.Node
	case op.Service != nil:
		return op.Service.Node
	}
	return op.Check.Check.Node
}

// exists returns an error if a lock or a prepared query is to be for a session that
// is not there.
func exists(tx *store.Txn, id string) error {
	if id == "" {
		return nil // a query needs none; a lock is refused by package kv
	}
	s, err := session.Find(tx, id)
	if err == nil && s == nil {
		err = fmt.Errorf("invalid session %q", id)
	}
	return err
}
