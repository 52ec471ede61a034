package dns_test

import (
	"testing"

	miekg "github.com/miekg/dns"

	"tribune/impl/dns"
)

// FuzzAnyDatagramIsAnsweredWellOrNotAtAll sends what may be no query at all. The
// server must live, answer what has a header and is no answer itself, and answer
// with a message that can be read and fits the client.
func FuzzAnyDatagramIsAnsweredWellOrNotAtAll(f *testing.F) {
	const header, response = 12, 0x80
	f.Fuzz(func(t *testing.T, b []byte) {
		inWorld(t, town(), func(c *dns.Config) { c.Execute = execute }, func(w *world) {
			got := w.send(b, false)
			if expected := len(b) >= header && b[2]&response == 0; expected != (got != nil) {
				t.Fatalf("answer expected: %v, came: %x", expected, got)
			}
			if got == nil {
				return
			}
			m, limit := new(miekg.Msg), miekg.MinMsgSize
			if q := new(miekg.Msg); q.Unpack(b) == nil && q.IsEdns0() != nil {
				limit = max(limit, int(q.IsEdns0().UDPSize()))
			}
			if err := m.Unpack(got); err != nil || !m.Response || got[0] != b[0] || got[1] != b[1] || len(got) > limit {
				t.Fatalf("%d bytes for a client that takes %d: %v: %v", len(got), limit, err, m)
			}
		})
	})
}
