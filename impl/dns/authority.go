package dns

import (
	"time"

	"github.com/miekg/dns"

	"tribune/impl/api"
)

// maxNameServers is how many servers are told as those of the domain.
const maxNameServers = 3

// soa is the SOA record of the domain that was asked for. Its TTL and its last
// number both say how long a negative answer may be kept (RFC 2308, 3).
func (r *request) soa() dns.RR {
	s := r.SOA
	return &dns.SOA{
		Hdr:    header(r.domain, dns.TypeSOA, time.Duration(s.MinTTL)*time.Second),
		Ns:     "ns." + r.domain,
		Mbox:   "hostmaster." + r.domain,
		Serial: uint32(time.Now().Unix()),

		Refresh: s.Refresh, Retry: s.Retry, Expire: s.Expire, Minttl: s.MinTTL,
	}
}

// apex answers about the domain itself.
func (r *request) apex() (reply, error) {
	switch r.q.Qtype {
	case dns.TypeSOA, dns.TypeNS, dns.TypeANY:
	default:
		return reply{}, nil
	}
	servers, err := r.nameServers()
	if err != nil {
		return reply{}, err
	}
	soa := entry{answer: []dns.RR{r.soa()}}
	switch r.q.Qtype {
	case dns.TypeNS:
		return reply{entries: servers}, nil
	case dns.TypeANY:
		return reply{entries: append([]entry{soa}, servers...)}, nil
	}
	a := reply{}
	for _, s := range servers {
		a.authority = append(a.authority, s.answer...)
		soa.more = append(soa.more, s.more...)
	}
	a.entries = []entry{soa}
	return a, nil
}

// nameServers are NS records of healthy servers, with their addresses.
func (r *request) nameServers() ([]entry, error) {
	found, err := r.instances(api.ServerServiceName, nil)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, n := range found {
		name, ok := r.canonical(n.Node.Node, "node")
		if !ok || len(entries) == maxNameServers {
			continue
		}
		e := entry{answer: []dns.RR{&dns.NS{Hdr: header(r.domain, dns.TypeNS, r.NodeTTL), Ns: name}}}
		if ip, ok := parseIP(n.Node.Address); ok {
			e.more = []dns.RR{addressRecord(name, dns.TypeANY, ip, r.NodeTTL)}
		}
		entries = append(entries, e)
	}
	return entries, nil
}
