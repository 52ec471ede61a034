package fsm

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"

	"tribune/impl/catalog"
	"tribune/impl/coordinate"
	"tribune/impl/kv"
	"tribune/impl/query"
	"tribune/impl/session"
	"tribune/impl/store"
)

// A snapshot is the line snapshotHeader followed by the msgpack form of body:
// sorted, so that equal states make equal snapshots.
const snapshotHeader = "tribune state 1\n"

type body struct {
	Catalog     catalog.Dump
	Coordinates coordinate.Dump
	Sessions    session.Dump
	Queries     query.Dump
	KV          kv.Dump
}

type snapshot struct {
	tx     *store.Txn
	handle *codec.MsgpackHandle
}

// Persist implements raft.FSMSnapshot.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	if err := dump(sink, s.tx, s.handle); err != nil {
		_ = sink.Cancel() // the first error is the one to tell
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s *snapshot) Release() {}

func dump(to io.Writer, tx *store.Txn, handle *codec.MsgpackHandle) error {
	var b body
	var err error
	if b.Catalog, err = catalog.Export(tx); err != nil {
		return fmt.Errorf("dumping the state: %w", err)
	}
	if b.Coordinates, err = coordinate.Export(tx); err != nil {
		return fmt.Errorf("dumping the state: %w", err)
	}
	if b.Sessions, err = session.Export(tx); err != nil {
		return fmt.Errorf("dumping the state: %w", err)
	}
	if b.Queries, err = query.Export(tx); err != nil {
		return fmt.Errorf("dumping the state: %w", err)
	}
	if b.KV, err = kv.Export(tx); err != nil {
		return fmt.Errorf("dumping the state: %w", err)
	}
	w := bufio.NewWriter(to)
	if _, err := w.WriteString(snapshotHeader); err != nil {
		return err
	}
	if err := codec.NewEncoder(w, handle).Encode(b); err != nil {
		return fmt.Errorf("dumping the state: %w", err)
	}
	return w.Flush()
}

// load fills an empty store. Lock-delays begin anew: nobody knows how much of them
// is over.
func (f *FSM) load(tx *store.Txn, from io.Reader) error {
	r := bufio.NewReader(from)
	header := make([]byte, len(snapshotHeader))
	if _, err := io.ReadFull(r, header); err != nil {
		return fmt.Errorf("it ends within its header: %w", err)
	}
	if string(header) != snapshotHeader {
		return fmt.Errorf("it begins with %q, not with %q: not a snapshot, or one of another version", header, snapshotHeader)
	}
	var b body
	if err := codec.NewDecoder(r, f.handle).Decode(&b); err != nil {
		return fmt.Errorf("decoding it: %w", err)
	}
	if err := catalog.Import(tx, b.Catalog); err != nil {
		return err
	}
	if err := coordinate.Import(tx, b.Coordinates); err != nil {
		return err
	}
	if err := session.Import(tx, b.Sessions); err != nil {
		return err
	}
	if err := query.Import(tx, b.Queries); err != nil {
		return err
	}
	for _, lost := range b.KV.Freed {
		f.freed(lost.Key, lost.Delay)
	}
	return kv.Import(tx, b.KV)
}

// Digest returns the SHA-256 of the state, in hexadecimal: servers that have
// applied the same entries have equal digests.
func (f *FSM) Digest() (string, error) {
	h := sha256.New()
	if err := dump(h, f.store.Read(), f.handle); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
