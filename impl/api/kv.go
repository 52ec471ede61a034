package api

// DirEntry is an entry of the key/value store (Consul API: KV Store).
type DirEntry struct {
	LockIndex uint64
	Key       string
	Flags     uint64
	Value     []byte // base64 in JSON, null when empty
	Session   string `json:",omitempty"`
	RaftIndex
}

// KVOp names what a KV write does.
type KVOp string

// The writes of the key/value store.
const (
	KVSet        KVOp = "set"
	KVCAS        KVOp = "cas"         // set if ModifyIndex equals DirEntry.ModifyIndex; 0: only if absent
	KVDelete     KVOp = "delete"      // one key
	KVDeleteCAS  KVOp = "delete-cas"  // one key if ModifyIndex equals
	KVDeleteTree KVOp = "delete-tree" // every key under a prefix
	KVLock       KVOp = "lock"        // set, if DirEntry.Session can lock the key
	KVUnlock     KVOp = "unlock"      // set, if DirEntry.Session has locked the key, and unlock it
)

// KVApplyRequest is one write to the key/value store.
type KVApplyRequest struct {
	Op    KVOp
	Entry DirEntry
	// AsOf belongs to a lock: the raft index up to which the leader knew of
	// sessions that ended, when it found that no lock-delay forbids the lock.
	AsOf uint64
	WriteOptions
}

// KVApplyResponse says whether the write took effect; only a CAS that found
// another index answers false, and a lock that another session holds or that is
// within its lock-delay.
type KVApplyResponse struct {
	OK    bool
	Index uint64 // raft index of the write
}

// KVRequest reads one key, or with Recurse every key under a prefix.
type KVRequest struct {
	Key     string
	Recurse bool
	QueryOptions
}

// KVResponse holds what was found, sorted by key. For an absent key the list
// is empty and Index is still set.
type KVResponse struct {
	Entries []DirEntry
	QueryMeta
}

// KVKeysRequest lists keys under a prefix up to the next separator.
type KVKeysRequest struct {
	Prefix    string
	Separator string
	QueryOptions
}

// KVKeysResponse holds the key names, sorted.
type KVKeysResponse struct {
	Keys []string
	QueryMeta
}
