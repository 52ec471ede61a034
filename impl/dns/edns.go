package dns

import (
	"net/netip"

	"github.com/miekg/dns"
)

// opt is the OPT record of the answer, if the query had one (RFC 6891, 6.1.1). It
// repeats the client's network, and says whether the answer was made for that
// network or serves all (RFC 7871, 7.2.1).
func (r *request) opt(forSubnet bool) []dns.RR {
	asked := r.msg.IsEdns0()
	if asked == nil {
		return nil
	}
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(queryMaxSize)
	o.SetDo(asked.Do())
	if s := subnet(asked); s != nil {
		echo := *s
		echo.SourceScope = 0
		if forSubnet {
			echo.SourceScope = s.SourceNetmask
		}
		o.Option = append(o.Option, &echo)
	}
	return []dns.RR{o}
}

func subnet(o *dns.OPT) *dns.EDNS0_SUBNET {
	for _, option := range o.Option {
		if s, ok := option.(*dns.EDNS0_SUBNET); ok {
			return s
		}
	}
	return nil
}

// source is where the client is: what its resolver says, or else who asks.
func (r *request) source() netip.Addr {
	if o := r.msg.IsEdns0(); o != nil {
		if s := subnet(o); s != nil && s.SourceNetmask > 0 {
			if ip, ok := netip.AddrFromSlice(s.Address); ok {
				return ip.Unmap()
			}
		}
	}
	return r.client
}
