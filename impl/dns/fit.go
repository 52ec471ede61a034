package dns

import (
	"math"
	"sort"

	"github.com/miekg/dns"
)

// maxDatagram is what a datagram can carry: 64 KB without the headers of UDP and
// of IP with all its options.
const maxDatagram = math.MaxUint16 - 8 - 60

// limit is how many bytes the client can take.
func (r *request) limit() int {
	if r.tcp {
		return dns.MaxMsgSize
	}
	if opt := r.msg.IsEdns0(); opt != nil {
		return min(max(int(opt.UDPSize()), dns.MinMsgSize), maxDatagram)
	}
	return dns.MinMsgSize
}

// fit makes a message of a reply that the client can take.
func (r *request) fit(a reply) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(r.msg, a.rcode)
	m.Compress = !r.DisableCompression
	m.Authoritative = a.authoritative
	m.RecursionAvailable = len(r.recursors) > 0
	shown := a.entries
	if r.UDPAnswerLimit > 0 && r.limit() == dns.MinMsgSize {
		shown = shown[:min(len(shown), r.UDPAnswerLimit)]
	}
	whole := pack(m, shown, a.authority, r.opt(a.subnet), r.limit())
	m.Truncated = r.EnableTruncate && !r.tcp && (!whole || len(shown) < len(a.entries))
	return m
}

// pack puts as much into a message as fits and reports whether that is all.
// Entries are left out from the end, each with its additional records: without
// them a client would have to ask again. Only when not even the first fits, it
// goes with some of them or none, then without the authority.
func pack(m *dns.Msg, entries []entry, authority, opt []dns.RR, limit int) bool {
	put := func(entries []entry, authority []dns.RR) bool {
		m.Answer, m.Ns, m.Extra = nil, authority, nil
		for _, e := range entries {
			m.Answer = append(m.Answer, e.answer...)
			m.Extra = append(m.Extra, e.more...)
		}
		m.Extra = append(m.Extra, opt...)
		return m.Len() <= limit
	}
	if put(entries, authority) {
		return true
	}
	n := sort.Search(len(entries), func(n int) bool { return !put(entries[:n+1], authority) })
	if n == 0 && len(entries) > 0 {
		first := entries[0]
		some := func(n int) []entry { return []entry{{first.answer, first.more[:n]}} }
		n := sort.Search(len(first.more), func(n int) bool { return !put(some(n+1), authority) })
		if put(some(n), authority) || put(some(0), nil) {
			return false
		}
	}
	if !put(entries[:n], authority) {
		put(nil, nil)
	}
	return false
}
