package dns

import (
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"tribune/impl/api"
)

// reply is all that there is to say to a question.
type reply struct {
	rcode         int
	entries       []entry
	authority     []dns.RR
	authoritative bool
	subnet        bool // it was made for the client's network and not for all
}

// entry is a part of the answer with the additional records that belong to it.
// Additional records that an earlier entry has are not repeated.
type entry struct {
	answer, more []dns.RR
}

// place is where an instance is: under a name that has the address ip, or at a
// name alone, that somebody else may resolve.
type place struct {
	name string
	ip   netip.Addr
}

// answer answers about instances, in their order.
func (r *request) answer(found []api.CheckServiceNode, ttl time.Duration) reply {
	if r.q.Qtype == dns.TypeSRV {
		return reply{entries: r.servers(found, ttl)}
	}
	return reply{entries: r.addresses(found, ttl)}
}

// servers are SRV records of instances, each with the addresses of its target
// and the metadata of its node.
func (r *request) servers(found []api.CheckServiceNode, ttl time.Duration) []entry {
	type target struct {
		name string
		port int
	}
	listed := map[target]bool{}
	told := map[string]bool{} // names of which there are additional records
	var entries []entry
	for _, n := range found {
		p := r.place(n, r.q.Qtype)
		t := target{p.name, n.Service.Port}
		if p.name == "" || listed[t] {
			continue
		}
		listed[t] = true
		e := entry{answer: []dns.RR{&dns.SRV{
			Hdr: header(r.q.Name, dns.TypeSRV, ttl), Priority: 1, Weight: weight(n), Port: uint16(n.Service.Port), Target: p.name,
		}}}
		if !told[p.name] {
			told[p.name] = true
			if p.ip.IsValid() {
				e.more = append(e.more, addressRecord(p.name, dns.TypeANY, p.ip, ttl))
			} else {
				e.more = append(e.more, r.resolve(p.name, ttl)...)
			}
		}
		if name, ok := r.canonical(n.Node.Node, "node"); ok && r.NodeMetaTXT && !told["meta of "+name] {
			told["meta of "+name] = true
			e.more = append(e.more, metadata(name, n.Node.Meta, ttl)...)
		}
		entries = append(entries, e)
	}
	return entries
}

// addresses are address records of instances, or a CNAME record if all of them
// have a host name for an address: beside a CNAME record nothing may be, also not
// addresses of the family that is not asked for.
func (r *request) addresses(found []api.CheckServiceNode, ttl time.Duration) []entry {
	listed := map[netip.Addr]bool{}
	var elsewhere string
	var addressed bool // some have an address of either family
	var entries []entry
	for _, n := range found {
		p := r.place(n, r.q.Qtype)
		addressed = addressed || r.place(n, dns.TypeA).ip.IsValid() || r.place(n, dns.TypeAAAA).ip.IsValid()
		if p.name != "" && !p.ip.IsValid() && elsewhere == "" {
			elsewhere = p.name
		}
		if rr := addressRecord(r.q.Name, r.q.Qtype, p.ip, ttl); rr != nil && !listed[p.ip] {
			listed[p.ip] = true
			entries = append(entries, entry{answer: []dns.RR{rr}})
		}
		if r.ARecordLimit > 0 && len(entries) == r.ARecordLimit {
			break
		}
	}
	if !addressed && elsewhere != "" {
		entries = []entry{r.alias(elsewhere, ttl)}
	}
	return entries
}

// alias answers that a name of ours stands for another, with what that resolves
// to, if it can be found out.
func (r *request) alias(name string, ttl time.Duration) entry {
	cname := &dns.CNAME{Hdr: header(r.q.Name, dns.TypeCNAME, ttl), Target: name}
	return entry{answer: append([]dns.RR{cname}, r.resolve(name, ttl)...)}
}

// place is where an instance is: at its own address, or else at that of its node.
// It has no name if there is no address at all. Which of several addresses depends
// on the type that is asked for.
func (r *request) place(n api.CheckServiceNode, qtype uint16) place {
	own := pick(qtype, n.Service.Address, n.Service.TaggedAddresses["lan_ipv4"].Address, n.Service.TaggedAddresses["lan_ipv6"].Address)
	of := pick(qtype, n.Node.Address, n.Node.TaggedAddresses["lan_ipv4"], n.Node.TaggedAddresses["lan_ipv6"])
	nodeIP, isIP := parseIP(of)
	if ip, ok := parseIP(own); ok {
		return place{r.spelled(ip), ip}
	}
	if own != "" && !(isIP && dns.CanonicalName(own) == r.name) { // a service that has its own name for an address is on its node
		return elsewhere(own)
	}
	if !isIP {
		return elsewhere(of)
	}
	if name, ok := r.canonical(n.Node.Node, "node"); ok {
		return place{name, nodeIP}
	}
	return place{r.spelled(nodeIP), nodeIP}
}

// elsewhere is a place at a host name, or none if that cannot be one.
func elsewhere(host string) place {
	if _, ok := dns.IsDomainName(host); host == "" || !ok {
		return place{}
	}
	return place{name: dns.Fqdn(host)}
}

// pick chooses an address of the sort that is asked for.
func pick(qtype uint16, plain, v4, v6 string) string {
	switch {
	case qtype == dns.TypeA && v4 != "":
		return v4
	case qtype == dns.TypeAAAA && v6 != "":
		return v6
	}
	return plain
}

func parseIP(text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	return ip.Unmap().WithZone(""), err == nil
}

// spelled is the name that spells an address.
func (r *request) spelled(ip netip.Addr) string {
	return hex.EncodeToString(ip.AsSlice()) + ".addr." + r.config.Datacenter + "." + r.domain
}

// canonical is the name of a node or a service, if it makes a host name.
func (r *request) canonical(name, kind string) (string, bool) {
	for _, c := range name {
		if c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	full := name + "." + kind + "." + r.config.Datacenter + "." + r.domain
	_, ok := dns.IsDomainName(full)
	return full, ok && name != ""
}

// aboutNode answers about a node.
func (r *request) aboutNode(n api.Node) reply {
	var a reply
	meta := metadata(r.q.Name, n.Meta, r.NodeTTL)
	at := func(qtype uint16) netip.Addr {
		ip, _ := parseIP(pick(qtype, n.Address, n.TaggedAddresses["lan_ipv4"], n.TaggedAddresses["lan_ipv6"]))
		return ip
	}
	ip := at(r.q.Qtype)
	if host := elsewhere(n.Address); host.name != "" && !at(dns.TypeA).IsValid() && !at(dns.TypeAAAA).IsValid() {
		return reply{entries: []entry{r.alias(host.name, r.NodeTTL)}}
	}
	if rr := addressRecord(r.q.Name, r.q.Qtype, ip, r.NodeTTL); rr != nil {
		a.entries = append(a.entries, entry{answer: []dns.RR{rr}})
	}
	switch {
	case r.q.Qtype == dns.TypeTXT || r.q.Qtype == dns.TypeANY:
		for _, rr := range meta {
			a.entries = append(a.entries, entry{answer: []dns.RR{rr}})
		}
	case r.NodeMetaTXT && len(a.entries) > 0:
		a.entries[0].more = meta
	}
	return a
}

// header begins a record.
func header(name string, rrtype uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: seconds(ttl)}
}

// addressRecord is the A or AAAA record of an address, nil if it is not of the
// type that is asked for.
func addressRecord(name string, qtype uint16, ip netip.Addr, ttl time.Duration) dns.RR {
	switch {
	case ip.Is4() && (qtype == dns.TypeA || qtype == dns.TypeANY):
		return &dns.A{Hdr: header(name, dns.TypeA, ttl), A: ip.AsSlice()}
	case ip.Is6() && (qtype == dns.TypeAAAA || qtype == dns.TypeANY):
		return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: ip.AsSlice()}
	}
	return nil
}

// weight is how much of the load an instance is to get (RFC 2782).
func weight(n api.CheckServiceNode) uint16 {
	w := n.Service.Weights.Passing
	if health(n) == api.HealthWarning {
		w = n.Service.Weights.Warning
	}
	return uint16(min(max(w, 0), 1<<16-1))
}

// verbatim begins the keys of metadata that are told without their key.
const verbatim = "rfc1035-"

// metadata is a TXT record for each key, as "KEY=VALUE" in the form of RFC 1464,
// where "`" quotes.
func metadata(name string, meta map[string]string, ttl time.Duration) []dns.RR {
	var records []dns.RR
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		text := meta[key]
		if !strings.HasPrefix(strings.ToLower(key), verbatim) {
			text = attribute(key) + "=" + strings.ReplaceAll(text, "`", "``")
		}
		records = append(records, &dns.TXT{Hdr: header(name, dns.TypeTXT, ttl), Txt: characterStrings(text)})
	}
	return records
}

// attribute quotes what would make a key mean something else (RFC 1464): the
// quote itself, "=", and blanks at either end.
func attribute(key string) string {
	core := strings.Trim(key, " \t")
	before, after, _ := strings.Cut(key, core)
	if core == "" {
		before, after = key, ""
	}
	blanks := strings.NewReplacer(" ", "` ", "\t", "`\t")
	return blanks.Replace(before) + strings.NewReplacer("`", "``", "=", "`=").Replace(core) + blanks.Replace(after)
}

// characterStrings cuts a text into pieces of at most 255 bytes (RFC 1035, 3.3)
// and quotes what the library would take for its own quotes.
func characterStrings(text string) []string {
	var pieces []string
	for piece := range slices.Chunk([]byte(text), 255) {
		pieces = append(pieces, strings.ReplaceAll(string(piece), `\`, `\\`))
	}
	if len(pieces) == 0 {
		return []string{""}
	}
	return pieces
}
