package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxWay is how many names of ours may lead from one to the next.
const maxWay = 3

// recurse answers with what a recursor answers.
func (r *request) recurse() *dns.Msg {
	if len(r.recursors) == 0 {
		return r.fit(reply{rcode: dns.RcodeRefused})
	}
	m, err := r.exchange(r.Server.ctx, r.msg)
	if err != nil {
		r.config.Logger.Warn("no recursor answered", "name", r.q.Name, "type", dns.TypeToString[r.q.Qtype], "error", err)
		return r.fit(reply{rcode: dns.RcodeServerFailure})
	}
	m.Id = r.msg.Id
	m.RecursionAvailable = true
	m.Compress = !r.DisableCompression
	if limit := r.limit(); m.Len() > limit {
		m.Truncate(limit)
	}
	return m
}

// resolve returns the records that a host name leads to, with a TTL of ours: from
// the catalog if the name is ours, else from a recursor. There may be none: then
// it is for the client to find out.
func (r *request) resolve(name string, ttl time.Duration) []dns.RR {
	var types []uint16
	switch r.q.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		types = []uint16{r.q.Qtype}
	case dns.TypeSRV, dns.TypeANY:
		types = []uint16{dns.TypeA, dns.TypeAAAA}
	}
	var found []dns.RR
	for _, t := range types {
		for _, rr := range r.hop(name, t) {
			switch rr.Header().Rrtype {
			case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME:
				rr.Header().Ttl = seconds(ttl)
				if !slices.ContainsFunc(found, func(f dns.RR) bool { return dns.IsDuplicate(f, rr) }) {
					found = append(found, rr)
				}
			}
		}
	}
	return found
}

// hop asks for records of one type.
func (r *request) hop(name string, qtype uint16) []dns.RR {
	canonical := dns.CanonicalName(name)
	if domain := r.domainOf(canonical); domain != "" {
		way := append(slices.Clone(r.way), r.name)
		if len(way) > maxWay || slices.Contains(way, canonical) {
			return nil
		}
		next := *r
		next.q = dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
		next.name, next.domain, next.way = canonical, domain, way
		var found []dns.RR
		for _, e := range next.find().entries {
			found = append(found, e.answer...)
		}
		return found
	}
	if r.alone || len(r.recursors) == 0 {
		return nil
	}
	m, err := r.exchange(r.ctx, new(dns.Msg).SetQuestion(name, qtype).SetEdns0(queryMaxSize, false))
	if err != nil {
		r.alone = true
		r.config.Logger.Warn("no recursor answered", "name", name, "type", dns.TypeToString[qtype], "error", err)
		return nil
	}
	return m.Answer
}

// exchange asks the recursors, one after the other, until one knows whether there
// is such a name. They are asked over the client's transport.
func (r *request) exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	order := slices.Clone(r.recursors)
	if r.RecursorStrategy == Random {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	var errs []error
	for _, at := range order {
		answer, err := r.ask(ctx, at, query)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%v: %w", at, err))
		case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
			errs = append(errs, fmt.Errorf("%v answered %s", at, dns.RcodeToString[answer.Rcode]))
		default:
			return answer, nil
		}
	}
	return nil, errors.Join(errs...)
}

// ask asks one recursor. The query gets an ID of its own, that only the recursor
// knows.
func (r *request) ask(ctx context.Context, at netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.RecursorTimeout)
	defer cancel()
	network := "udp"
	if r.tcp {
		network = "tcp"
	}
	socket, err := r.config.Network.Dial(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()

	query = query.Copy()
	query.Id = dns.Id()
	c := dns.Conn{Conn: socket, UDPSize: dns.MaxMsgSize}
	if err := c.WriteMsg(query); err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	for {
		answer, err := c.ReadMsg()
		if err != nil {
			return nil, errors.Join(err, ctx.Err())
		}
		if answers(answer, query) {
			return answer, nil
		}
	}
}

// answers reports whether a message is the answer to a query, and not a late one
// to another or a forged one.
func answers(m, query *dns.Msg) bool {
	if !m.Response || m.Id != query.Id || len(m.Question) != 1 {
		return false
	}
	a, q := m.Question[0], query.Question[0]
	return strings.EqualFold(a.Name, q.Name) && a.Qtype == q.Qtype && a.Qclass == q.Qclass
}
