package fsm

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/kv"
	"tribune/impl/query"
	"tribune/impl/session"
	"tribune/impl/store"
)

func applySession(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.SessionApplyRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a session command: %w", err)
	}
	var err error
	switch r.Op {
	case api.SessionCreate:
		if err = catalog.Support(tx, r.Session.Node, needed(r.Session)); err == nil {
			err = session.Create(tx, index, r.Session)
		}
	case api.SessionDestroy:
		err = f.end(tx, index, r.Session.ID)
	default:
		err = fmt.Errorf("session: unknown operation %q", r.Op)
	}
	if err != nil {
		return err
	}
	return nil
}

// needed are the checks that a session stands on.
func needed(s api.Session) []string {
	ids := append([]string{}, s.NodeChecks...)
	for _, c := range s.ServiceChecks {
		ids = append(ids, c.ID)
	}
	return ids
}

// review ends the sessions on nodes that changed for which a check turned
// critical or is gone, or the node itself, which then is nowhere any more.
func (f *FSM) review(tx *store.Txn, index uint64, nodes ...string) error {
	for _, node := range nodes {
		if err := settle(tx, index, node); err != nil {
			return err
		}
		found, err := session.OfNode(tx, node)
		if err != nil {
			return err
		}
		for _, s := range found {
			if catalog.Support(tx, node, needed(s)) == nil {
				continue
			}
			if err := f.end(tx, index, s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// end ends a session, and with it its prepared queries and its locks.
func (f *FSM) end(tx *store.Txn, index uint64, id string) error {
	s, err := session.End(tx, index, id)
	if err != nil || s == nil {
		return err
	}
	if err := query.EndSession(tx, index, s.ID); err != nil {
		return err
	}
	keys, err := kv.EndLocks(tx, index, *s)
	for _, key := range keys {
		f.lost = append(f.lost, lostLock{key, s.LockDelay})
	}
	return err
}
