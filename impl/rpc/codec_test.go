package rpc

import (
	"bytes"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"tribune/impl/fault"
)

// message has a field of each shape that requests and answers are made of.
type message struct {
	Text  string
	Bytes []byte
	Count uint64
	Delta int64
	Yes   bool
	List  []string
	Table map[string]uint64
	Rows  []struct{ Key, Value string }
	Inner struct{ A, B int32 }
}

func decode(b []byte) (message, error) {
	var m message
	err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &m)
	return m, err
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := newCodec().Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b.Materialize()
}

func FuzzDecodingNeverPanicsAndWhatItUnderstandsSurvivesARoundTrip(f *testing.F) {
	f.Add([]byte{})
	f.Add(encode(f, message{}))
	f.Add(encode(f, message{Text: "ä", Bytes: []byte{0, 255}, Count: 1 << 63, Delta: -1, Yes: true, List: []string{"", "b"}, Table: map[string]uint64{"k": 1}}))
	f.Add([]byte{0x81, 0xa5, 'B', 'y', 't', 'e', 's', 0xc6, 0xff, 0xff, 0xff, 0xff}) // announces 4 GiB
	f.Add([]byte{0x81, 0xa4, 'L', 'i', 's', 't', 0xdd, 0x7f, 0xff, 0xff, 0xff})      // announces 2^31 strings
	f.Add(bytes.Repeat([]byte{0x91}, 4096))                                          // nested lists
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		once := encode(t, m)
		again, err := decode(once)
		if err != nil {
			t.Fatalf("%+v cannot be read back: %v", m, err)
		}
		if len(m.Table) < 2 && !bytes.Equal(once, encode(t, again)) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

func TestAFailureOfGRPCItselfIsAKindByWhatIsKnownOfTheRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		sent bool
		want fault.Kind
	}{
		{"never left", status.Error(codes.Unavailable, "no connection"), false, fault.Unavailable},
		{"cut off", status.Error(codes.Unavailable, "transport is closing"), true, fault.Unknown},
		{"given up", status.FromContextError(io.ErrUnexpectedEOF).Err(), true, fault.Unknown},
		{"over the limit", status.Error(codes.ResourceExhausted, "too large"), true, fault.TooLarge},
		{"unknown method", status.Error(codes.Unimplemented, "no"), true, fault.Invalid},
		{"a kind", status.Error(firstCode+codes.Code(fault.Denied), "no"), true, fault.Denied},
		{"no kind of ours", status.Error(firstCode+99, "no"), true, fault.Unknown},
		{"a number that would wrap around to one", status.Error(firstCode+256+codes.Code(fault.Denied), "no"), true, fault.Unknown},
	} {
		if got := fault.Of(fromWire(c.err, c.sent)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if toWire(nil) != nil || fromWire(nil, true) != nil {
		t.Error("no error became one")
	}
}
