package server

import (
	"context"
	"fmt"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/fsm"
	"tribune/impl/session"
	"tribune/impl/store"
)

// TxnApply carries out all operations or none. That an operation failed is no
// error but in the answer.
func (s *Server) TxnApply(ctx context.Context, r api.TxnRequest) (api.TxnResponse, error) {
	if err := s.checkDatacenter(r.Datacenter); err != nil {
		return api.TxnResponse{}, err
	}
	e := errand{method: api.MethodTxnApply, request: r, again: untouched}
	return forward(ctx, s, e, func(<-chan struct{}) (api.TxnResponse, error) {
		for _, op := range r.Ops {
			switch {
			case op.Node != nil && op.Node.Node.Datacenter == "":
				op.Node.Node.Datacenter = s.config.Datacenter
			case op.Check != nil && op.Check.Check.CheckID == "" && !op.Reads():
				op.Check.Check.CheckID = op.Check.Check.Name
			}
		}
		var err error
		if r.AsOf, err = session.Index(s.fsm.Store().Read()); err != nil {
			return api.TxnResponse{}, err
		}
		if refused := s.refuseTxn(r.Ops); len(refused) > 0 {
			return api.TxnResponse{Errors: refused}, nil
		}
		_, answer, err := s.commit(ctx, fsm.TxnType, r)
		if err != nil {
			return api.TxnResponse{}, err
		}
		a, ok := answer.(api.TxnResponse)
		if !ok {
			return api.TxnResponse{}, fault.New(fault.Internal, "a transaction was answered with a %T", answer)
		}
		return a, nil
	})
}

// refuseTxn returns why operations cannot be, as far as the leader knows before
// it has them replicated.
func (s *Server) refuseTxn(ops []api.TxnOp) []api.TxnError {
	var refused []api.TxnError
	sets := func(verb string) bool { return verb == api.TxnSet || verb == api.TxnCAS }
	for i, op := range ops {
		what := ""
		switch {
		case op.KV != nil && op.KV.Key == "" && op.KV.Verb != api.TxnDeleteTree && op.KV.Verb != api.TxnGetTree:
			what = "Must provide key"
		case op.KV != nil && op.KV.Verb == api.TxnLock && s.delays.active(op.KV.Key):
			what = fmt.Sprintf("failed to lock key %q due to lock delay", op.KV.Key)
		case op.Node != nil && op.Node.Node.Node == "" && !op.Reads():
			what = "Must provide node"
		case op.Node != nil && !op.Reads() && checkNodeID(op.Node.Node.ID) != nil:
			what = checkNodeID(op.Node.Node.ID).Error()
		case op.Service != nil && op.Service.Service.Service == "" && sets(op.Service.Verb):
			what = "Must provide service name (Service.Service) when adding a service"
		case op.Service != nil && api.AnyAddress(op.Service.Service.Address) && sets(op.Service.Verb):
			what = errAnyAddress
		case op.Check != nil && op.Check.Check.CheckID == "" && sets(op.Check.Verb):
			what = errNoCheckID
		}
		if what != "" {
			refused = append(refused, api.TxnError{OpIndex: i, What: what})
		}
	}
	return refused
}

// TxnRead answers a transaction whose operations only read, from one state.
func (s *Server) TxnRead(ctx context.Context, r api.TxnReadRequest) (api.TxnReadResponse, error) {
	return read(ctx, s, api.MethodTxnRead, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.TxnReadResponse, error) {
		var a api.TxnReadResponse
		opts.MinQueryIndex = 0 // nothing to wait for
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, _ store.WatchSet) (index uint64, found bool, err error) {
			a.TxnResponse = s.fsm.ReadTxn(tx, r.Ops)
			return 0, true, nil
		})
		return a, err
	})
}
