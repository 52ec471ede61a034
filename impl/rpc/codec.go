package rpc

import (
	"fmt"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"tribune/impl/fault"
	"tribune/impl/pack"
)

// msgpack is a gRPC codec for plain Go structs.
type msgpack struct{ *pack.Codec }

func newCodec() msgpack {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.MaxDepth = 32 // of nesting; the library's own default is 1024
	return msgpack{pack.New(h)}
}

// Name implements encoding.CodecV2; it becomes the content subtype.
func (msgpack) Name() string { return "msgpack" }

// Marshal implements encoding.CodecV2.
func (m msgpack) Marshal(v any) (mem.BufferSlice, error) {
	b, err := m.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (m msgpack) Unmarshal(data mem.BufferSlice, v any) error {
	if err := m.Decode(data.Materialize(), v); err != nil {
		return fmt.Errorf("decoding %T: %w", v, err)
	}
	return nil
}

// firstCode is the gRPC status code of fault.Internal; the other kinds follow.
// gRPC's own codes end far below.
const firstCode = 100

// toWire turns an error into one that keeps its kind on the wire.
func toWire(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.Code(firstCode+uint32(fault.Of(err))), err.Error())
}

// fromWire is the reverse. For a failure of gRPC itself it matters whether the
// request may have reached the server: sent tells.
func fromWire(err error, sent bool) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	if n := uint32(s.Code()); n >= firstCode && n-firstCode <= 0xff {
		if kind := fault.Kind(n - firstCode); kind.Valid() {
			return fault.New(kind, "%s", s.Message())
		}
	}
	kind := fault.Unavailable
	switch {
	case s.Code() == codes.ResourceExhausted:
		kind = fault.TooLarge // a message over the limit: gRPC's only use of that code here
	case s.Code() == codes.Unimplemented:
		kind = fault.Invalid // a server of an older version
	case sent:
		kind = fault.Unknown
	}
	return fault.New(kind, "rpc error: %s: %s", s.Code(), s.Message())
}
