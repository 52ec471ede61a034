package dns

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"tribune/impl/fault"
)

// face answers the queries of one transport.
type face struct {
	*Server
	tcp bool
}

// request is a query that is being answered.
type request struct {
	*Server
	*rules                 // as they were when it came
	ctx    context.Context // for what is looked up in the catalog
	msg    *dns.Msg
	q      dns.Question
	name   string // in lower case
	domain string // of ours in which the name lies, empty if in none
	client netip.Addr
	tcp    bool

	way   []string // names of ours that led here, since each has a host name for an address
	alone bool     // no recursor answered
}

// accept says what to do with a message before it is read: answers are ignored,
// lest two servers talk to each other for ever.
func accept(h dns.Header) dns.MsgAcceptAction {
	const response, opcode = 1 << 15, 0xf << 11
	switch {
	case h.Bits&response != 0:
		return dns.MsgIgnore
	case h.Bits&opcode != dns.OpcodeQuery:
		return dns.MsgRejectNotImplemented
	case h.Qdcount != 1:
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// ServeDNS implements dns.Handler.
func (f face) ServeDNS(w dns.ResponseWriter, msg *dns.Msg) {
	if len(msg.Question) == 0 { // the header announced one, and nothing came
		f.write(w, new(dns.Msg).SetRcode(msg, dns.RcodeFormatError))
		return
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(f.ctx, lookupLimit)
	defer cancel()
	r := &request{
		Server: f.Server, rules: f.rules.Load(), ctx: ctx, msg: msg, q: msg.Question[0],
		name: dns.CanonicalName(msg.Question[0].Name), client: addrPort(w.RemoteAddr()).Addr(), tcp: f.tcp,
	}
	r.domain = f.domainOf(r.name)
	m := r.respond()
	f.write(w, m)
	if _, reverse := arpa(r.name); reverse {
		f.figures.reverse.Took(time.Since(begun))
	} else {
		f.figures.domain.Took(time.Since(begun))
	}
	f.config.Logger.Debug("DNS query answered", "name", r.q.Name, "type", dns.TypeToString[r.q.Qtype], "client", r.client,
		"rcode", dns.RcodeToString[m.Rcode], "answers", len(m.Answer), "truncated", m.Truncated, "took", time.Since(begun))
}

func (f face) write(w dns.ResponseWriter, m *dns.Msg) {
	if err := w.WriteMsg(m); err != nil {
		f.config.Logger.Warn("DNS answer not sent", "client", w.RemoteAddr().String(), "question", m.Question, "error", err)
	}
}

// respond makes the message that answers the query.
func (r *request) respond() *dns.Msg {
	if rcode := r.flaw(); rcode != dns.RcodeSuccess {
		return r.fit(reply{rcode: rcode})
	}
	if r.domain != "" {
		return r.fit(r.find())
	}
	if a, ok := arpa(r.name); ok && (r.q.Qtype == dns.TypePTR || r.q.Qtype == dns.TypeANY) {
		if found := r.reverse(a); found.rcode != dns.RcodeNameError {
			return r.fit(found)
		}
	}
	return r.recurse()
}

// domainOf is the innermost domain of ours in which a name in lower case lies, empty
// if it lies in none.
func (s *Server) domainOf(name string) string {
	var found string
	for _, d := range s.domains {
		if dns.IsSubDomain(d, name) && len(d) > len(found) {
			found = d
		}
	}
	return found
}

// flaw is the rcode for a query that is not to be answered, if it is not.
func (r *request) flaw() int {
	opts := 0
	for _, rr := range r.msg.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			opts++
		}
	}
	switch {
	case opts > 1:
		return dns.RcodeFormatError
	case opts == 1 && r.msg.IsEdns0().Version() != 0:
		return dns.RcodeBadVers
	case r.q.Qclass != dns.ClassINET && r.q.Qclass != dns.ClassANY:
		return dns.RcodeRefused
	}
	switch r.q.Qtype {
	case dns.TypeAXFR, dns.TypeIXFR, dns.TypeMAILA, dns.TypeMAILB:
		return dns.RcodeNotImplemented
	}
	return dns.RcodeSuccess
}

// find answers for a name of ours.
func (r *request) find() reply {
	q := grammar{r.config.Datacenter, r.SeveralTags}.parse(r.name, r.domain)
	var found reply
	var err error
	switch q.kind {
	case between:
	case apex:
		found, err = r.apex()
	case service:
		found, err = r.service(q)
	case node:
		found, err = r.node(q.name)
	case address:
		found = r.address(q.name)
	case prepared:
		found, err = r.prepared(q.name)
	default:
		found = reply{rcode: dns.RcodeNameError}
	}
	if err != nil {
		found = r.failed(err)
	}
	found.subnet = q.kind == prepared
	found.authoritative = found.rcode == dns.RcodeSuccess || found.rcode == dns.RcodeNameError
	if found.authoritative && len(found.entries) == 0 {
		found.authority = append(found.authority, r.soa()) // how long this may be remembered (RFC 2308)
	}
	return found
}

// failed answers that a lookup failed, by the kind of its error.
func (r *request) failed(err error) reply {
	switch fault.Of(err) {
	case fault.NotFound:
		return reply{rcode: dns.RcodeNameError}
	case fault.Denied:
		return reply{rcode: dns.RcodeRefused}
	}
	r.config.Logger.Warn("DNS lookup failed", "name", r.q.Name, "type", dns.TypeToString[r.q.Qtype], "error", err)
	return reply{rcode: dns.RcodeServerFailure}
}
