package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Txn is the transactions.
type Txn interface {
	TxnApply(context.Context, api.TxnRequest) (api.TxnResponse, error)
	TxnRead(context.Context, api.TxnReadRequest) (api.TxnReadResponse, error)
}

// txnFace answers for transactions.
type txnFace struct {
	Txn          Txn
	MaxValueSize int
	MaxLen       int // bytes
}

// maxTxnOps is the most operations of a transaction.
const maxTxnOps = 128

func (s txnFace) endpoints() []endpoint {
	return []endpoint{{"/v1/txn", []string{"PUT"}, s.txn}}
}

func (s txnFace) txn(w http.ResponseWriter, r *http.Request) (any, error) {
	ops, err := s.operations(r)
	if err != nil {
		return nil, err
	}
	var a api.TxnResponse
	if reads(ops) {
		a, err = s.read(w, r, ops)
	} else {
		q := r.URL.Query()
		a, err = s.Txn.TxnApply(r.Context(), api.TxnRequest{Ops: ops, WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)}})
	}
	if err != nil {
		return nil, err
	}
	if len(a.Errors) > 0 {
		b, err := asJSON(r, a)
		if err != nil {
			return nil, err
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write(b) // the client went away, if it cannot be told
		return nil, nil
	}
	a.Results = listed(a.Results)
	return a, nil
}

// read carries out a transaction that only reads. As in Consul it alone has a mode of
// consistency, and its answer no index: nobody can wait for another.
func (s txnFace) read(w http.ResponseWriter, r *http.Request, ops []api.TxnOp) (api.TxnResponse, error) {
	o, err := options(r)
	if err != nil {
		return api.TxnResponse{}, err
	}
	found, err := s.Txn.TxnRead(r.Context(), api.TxnReadRequest{Ops: ops, QueryOptions: o})
	if err != nil {
		return api.TxnResponse{}, err
	}
	writeFreshness(w, found.QueryMeta)
	return found.TxnResponse, nil
}

func reads(ops []api.TxnOp) bool {
	for _, op := range ops {
		if !op.Reads() {
			return false
		}
	}
	return true
}

// operations reads the body of a transaction.
func (s txnFace) operations(r *http.Request) ([]api.TxnOp, error) {
	var raw json.RawMessage
	var ops []api.TxnOp
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, int64(s.MaxLen))).Decode(&raw)
	if err == nil {
		err = strictly(raw, &ops)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.New(fault.TooLarge, "Request body too large, max size: %d bytes. See %s.", s.MaxLen, "https://www.consul.io/docs/agent/config/config-files#txn_max_req_len")
	case err != nil:
		return nil, fault.New(fault.Invalid, "Failed to parse body: %w", err)
	case len(ops) > maxTxnOps:
		return nil, fault.New(fault.TooLarge, "Transaction contains too many operations (%d > %d)", len(ops), maxTxnOps)
	}
	for _, op := range ops {
		if op.KV != nil && len(op.KV.Value) > s.MaxValueSize {
			// Vault's storage matches on "is too large".
			return nil, fault.New(fault.TooLarge, "Value for key %q is too large (%d > %d bytes)", op.KV.Key, len(op.KV.Value), s.MaxValueSize)
		}
	}
	return ops, nil
}
