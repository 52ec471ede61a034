package fsm

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/query"
	"tribune/impl/store"
)

func applyQuery(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.QueryApplyRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a query command: %w", err)
	}
	var err error
	if r.Op != api.QueryDelete {
		err = exists(tx, r.Query.Session)
	}
	if err == nil {
		err = query.Apply(tx, index, r)
	}
	if err != nil {
		return err
	}
	return nil
}
