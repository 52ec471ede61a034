package api

// TxnOp is one operation of a transaction: one of its fields is set (Consul API:
// Transactions).
type TxnOp struct {
	KV      *TxnKVOp
	Node    *TxnNodeOp
	Service *TxnServiceOp
	Check   *TxnCheckOp
	Session *TxnSessionOp
}

// The verbs of a transaction. Those of the key/value store are more than the
// others have.
const (
	TxnSet            = "set"
	TxnCAS            = "cas"
	TxnLock           = "lock"
	TxnUnlock         = "unlock"
	TxnGet            = "get"
	TxnGetTree        = "get-tree"
	TxnGetOrEmpty     = "get-or-empty"
	TxnCheckIndex     = "check-index"
	TxnCheckSession   = "check-session"
	TxnCheckNotExists = "check-not-exists"
	TxnDelete         = "delete"
	TxnDeleteTree     = "delete-tree"
	TxnDeleteCAS      = "delete-cas"
)

// TxnKVOp is an operation on the key/value store.
type TxnKVOp struct {
	Verb    string
	Key     string
	Value   []byte
	Flags   uint64
	Index   uint64 // that cas, delete-cas and check-index compare with
	Session string
}

// TxnNodeOp is an operation on a node; cas compares with its ModifyIndex, also in
// the operations below.
type TxnNodeOp struct {
	Verb string
	Node Node
}

// TxnServiceOp is an operation on a service of a node.
type TxnServiceOp struct {
	Verb    string
	Node    string
	Service NodeService
}

// TxnCheckOp is an operation on a check.
type TxnCheckOp struct {
	Verb  string
	Check HealthCheck
}

// TxnSessionOp is an operation on a session; delete is the only one.
type TxnSessionOp struct {
	Verb    string
	Session Session
}

// Reads reports whether the operation changes nothing.
func (o TxnOp) Reads() bool {
	verb := ""
	switch {
	case o.KV != nil:
		verb = o.KV.Verb
	case o.Node != nil:
		verb = o.Node.Verb
	case o.Service != nil:
		verb = o.Service.Verb
	case o.Check != nil:
		verb = o.Check.Verb
	}
	switch verb {
	case TxnGet, TxnGetTree, TxnGetOrEmpty, TxnCheckIndex, TxnCheckSession, TxnCheckNotExists:
		return true
	}
	return false
}

// TxnRequest is a transaction that changes something.
type TxnRequest struct {
	Ops  []TxnOp
	AsOf uint64 // as in KVApplyRequest
	WriteOptions
}

// TxnReadRequest is a transaction that only reads.
type TxnReadRequest struct {
	Ops []TxnOp
	QueryOptions
}

// TxnResult is what one operation found or made: one of its fields is set.
type TxnResult struct {
	KV      *DirEntry    `json:",omitempty"`
	Node    *Node        `json:",omitempty"`
	Service *NodeService `json:",omitempty"`
	Check   *HealthCheck `json:",omitempty"`
}

// TxnError is why an operation of a transaction failed.
type TxnError struct {
	OpIndex int
	What    string
}

// TxnResponse has either the results of all operations, in their order, or the
// errors of those that failed, and then nothing was changed.
type TxnResponse struct {
	Results []TxnResult
	Errors  []TxnError
}

// TxnReadResponse is the answer to a transaction that only reads.
type TxnReadResponse struct {
	TxnResponse
	QueryMeta
}
