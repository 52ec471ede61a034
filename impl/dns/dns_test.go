package dns_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"tribune/impl/api"
	"tribune/impl/dns"
	"tribune/impl/fault"
)

var (
	n1 = api.Node{Node: "n1", Address: "10.0.0.1", Meta: map[string]string{"rack": "a=7", "rfc1035-note": "as `it` is"}}
	n2 = api.Node{Node: "N2", Address: "10.0.0.2", TaggedAddresses: map[string]string{"lan_ipv6": "fd00::2"}}
	n3 = api.Node{Node: "n3", Address: "fd00::3"}
	n4 = api.Node{Node: "host.example.com", Address: "elsewhere.example.com"}
	n5 = api.Node{Node: "what a name", Address: "10.0.0.5"}
	n6 = api.Node{Node: "n6", Address: "elsewhere.example.com", TaggedAddresses: map[string]string{"lan_ipv4": "10.0.0.6"}}
)

var weights = api.Weights{Passing: 3, Warning: 2}

// town is a catalog with one of everything.
func town() *fake {
	return &fake{nodes: []api.Node{n1, n2, n3, n4, n5, n6}, instances: []api.CheckServiceNode{
		instance(n1, api.NodeService{ID: "web1", Service: "Web", Port: 80, Tags: []string{"Blue", "v1.2"}, Weights: weights}, api.HealthPassing),
		instance(n2, api.NodeService{ID: "web2", Service: "Web", Port: 81, Tags: []string{"blue", "fast"}, Weights: weights, Address: "10.1.0.2"}, api.HealthWarning),
		instance(n3, api.NodeService{ID: "web3", Service: "Web", Port: 80, Weights: weights}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "web4", Service: "Web", Port: 80, Weights: weights, Address: "10.1.0.4"}, api.HealthCritical),
		instance(n1, api.NodeService{ID: "sick", Service: "sick", Port: 80, Weights: weights}, api.HealthCritical),
		instance(n1, api.NodeService{ID: "db", Service: "db", Port: 5432, Weights: weights}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "far", Service: "far", Port: 443, Weights: weights, Address: "far.example.com"}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "mixed1", Service: "mixed", Weights: weights, Address: "far.example.com"}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "mixed2", Service: "mixed", Weights: weights, Address: "10.1.0.7"}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "tagged", Service: "tagged", Weights: weights, Address: "far.example.com", TaggedAddresses: map[string]api.ServiceAddress{"lan_ipv4": {Address: "10.1.0.8"}}}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "alias", Service: "alias", Port: 443, Weights: weights, Address: "db.service.consul"}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "round", Service: "round", Port: 443, Weights: weights, Address: "about.service.consul"}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "about", Service: "about", Port: 443, Weights: weights, Address: "round.service.consul"}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "self", Service: "self", Port: 443, Weights: weights, Address: "self.service.consul"}, api.HealthPassing),
		instance(n5, api.NodeService{ID: "odd", Service: "odd", Port: 7, Weights: weights}, api.HealthPassing),
		instance(n1, api.NodeService{ID: "consul", Service: "consul", Port: 8300, Weights: weights}, api.HealthPassing),
	}}
}

const (
	soa     = "consul. 30 SOA ns.consul. hostmaster.consul. 1 3600 600 86400 30"
	n1Meta  = "\nn1.node.dc1.consul. 0 TXT \"as `it` is\"\nn1.node.dc1.consul. 0 TXT \"rack=a=7\""
	blueSRV = "blue.web.service.consul. 0 SRV 1 2 81 0a010002.addr.dc1.consul.\nblue.web.service.consul. 0 SRV 1 3 80 n1.node.dc1.consul."
)

type answer struct {
	Rcode                    string
	Answer, Authority, Extra string
}

func of(m *miekg.Msg) answer {
	return answer{miekg.RcodeToString[m.Rcode], text(m.Answer), text(m.Ns), text(m.Extra)}
}

// form is a question and what is to be answered.
type form struct {
	name  string
	qtype uint16
	want  answer
}

const ok, none = "NOERROR", "NXDOMAIN"

// answered asks in the town.
func answered(t *testing.T, forms []form) {
	for _, c := range forms {
		t.Run(c.name+" "+miekg.TypeToString[c.qtype], func(t *testing.T) {
			inWorld(t, town(), func(d *dns.Config) {
				d.Settings.NodeTTL = 7 * time.Second
				d.Settings.SOA.MinTTL = 30
				d.AltDomain = "Other.org"
				d.Execute = execute
			}, func(w *world) {
				m, _ := w.exchange(query(c.name, c.qtype).SetEdns0(4096, false), false)
				if diff := cmp.Diff(c.want, of(m)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestServicesAreFoundByEachFormOfName(t *testing.T) {
	web := func(name string) string {
		return name + " 0 A 10.0.0.1\n" + name + " 0 A 10.1.0.2"
	}
	answered(t, []form{
		{"web.service.consul", miekg.TypeA, answer{ok, web("web.service.consul."), "", ""}},
		{"WEB.Service.dc1.CONSUL", miekg.TypeA, answer{ok, web("WEB.Service.dc1.CONSUL."), "", ""}},
		{"web.service.DC1.dc.consul", miekg.TypeA, answer{ok, web("web.service.DC1.dc.consul."), "", ""}},
		{"web.service.consul", miekg.TypeAAAA, answer{ok, "web.service.consul. 0 AAAA fd00::3", "", ""}},
		{"web.service.consul", miekg.TypeANY, answer{ok, web("web.service.consul.") + "\nweb.service.consul. 0 AAAA fd00::3", "", ""}},
		{"blue.web.service.consul", miekg.TypeSRV, answer{ok, blueSRV, "", "0a010002.addr.dc1.consul. 0 A 10.1.0.2\nn1.node.dc1.consul. 0 A 10.0.0.1" + n1Meta}},
		{"v1.2.web.service.consul", miekg.TypeA, answer{ok, "v1.2.web.service.consul. 0 A 10.0.0.1", "", ""}},
		{"fast.blue.web.service.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"odd.service.consul", miekg.TypeSRV, answer{ok, "odd.service.consul. 0 SRV 1 3 7 0a000005.addr.dc1.consul.", "", "0a000005.addr.dc1.consul. 0 A 10.0.0.5"}},
		{"_web._fast.service.consul", miekg.TypeA, answer{ok, "_web._fast.service.consul. 0 A 10.1.0.2", "", ""}},
		{"_db._tcp.service.consul", miekg.TypeA, answer{ok, "_db._tcp.service.consul. 0 A 10.0.0.1", "", ""}},
		{"_db._tcp.dc1.consul", miekg.TypeSRV, answer{ok, "_db._tcp.dc1.consul. 0 SRV 1 3 5432 n1.node.dc1.consul.", "", "n1.node.dc1.consul. 0 A 10.0.0.1" + n1Meta}},
		{"_db._udp.service.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"sick.service.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"missing.service.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"web.service.dc2.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"db.service.consul", miekg.TypeAAAA, answer{ok, "", soa, ""}},
		{"db.service.consul", miekg.TypeTXT, answer{ok, "", soa, ""}},
		{"db.service.consul", miekg.TypeSOA, answer{ok, "", soa, ""}},
	})
}

func TestAHostNameAsAnAddressIsAnAlias(t *testing.T) {
	answered(t, []form{
		{"far.service.consul", miekg.TypeA, answer{ok, "far.service.consul. 0 CNAME far.example.com.", "", ""}},
		{"far.service.consul", miekg.TypeSRV, answer{ok, "far.service.consul. 0 SRV 1 3 443 far.example.com.", "", strings.TrimPrefix(n1Meta, "\n")}},
		{"alias.service.consul", miekg.TypeA, answer{ok, "alias.service.consul. 0 CNAME db.service.consul.\ndb.service.consul. 0 A 10.0.0.1", "", ""}},
		{"self.service.consul", miekg.TypeA, answer{ok, "self.service.consul. 0 A 10.0.0.1", "", ""}},
		{"round.service.consul", miekg.TypeA, answer{ok, "about.service.consul. 0 CNAME round.service.consul.\nround.service.consul. 0 CNAME about.service.consul.", "", ""}},
	})
}

func TestANameThatHasAddressesIsNoAlias(t *testing.T) {
	answered(t, []form{
		{"mixed.service.consul", miekg.TypeA, answer{ok, "mixed.service.consul. 0 A 10.1.0.7", "", ""}},
		{"mixed.service.consul", miekg.TypeAAAA, answer{ok, "", soa, ""}},
		{"mixed.service.consul", miekg.TypeTXT, answer{ok, "", soa, ""}},
		{"tagged.service.consul", miekg.TypeA, answer{ok, "tagged.service.consul. 0 A 10.1.0.8", "", ""}},
		{"tagged.service.consul", miekg.TypeAAAA, answer{ok, "", soa, ""}},
		{"n6.node.consul", miekg.TypeA, answer{ok, "n6.node.consul. 7 A 10.0.0.6", "", ""}},
		{"n6.node.consul", miekg.TypeAAAA, answer{ok, "", soa, ""}},
	})
}

func TestNodesAndAddressesAreFoundByEachFormOfName(t *testing.T) {
	answered(t, []form{
		{"n1.node.consul", miekg.TypeA, answer{ok, "n1.node.consul. 7 A 10.0.0.1", "", "n1.node.consul. 7 TXT \"as `it` is\"\nn1.node.consul. 7 TXT \"rack=a=7\""}},
		{"n1.node.dc1.dc.consul", miekg.TypeTXT, answer{ok, "n1.node.dc1.dc.consul. 7 TXT \"as `it` is\"\nn1.node.dc1.dc.consul. 7 TXT \"rack=a=7\"", "", ""}},
		{"n1.node.consul", miekg.TypeANY, answer{ok, "n1.node.consul. 7 A 10.0.0.1\nn1.node.consul. 7 TXT \"as `it` is\"\nn1.node.consul. 7 TXT \"rack=a=7\"", "", ""}},
		{"n2.node.consul", miekg.TypeAAAA, answer{ok, "n2.node.consul. 7 AAAA fd00::2", "", ""}},
		{"n3.node.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"host.example.com.node.consul", miekg.TypeA, answer{ok, "host.example.com.node.consul. 7 CNAME elsewhere.example.com.", "", ""}},
		{"n9.node.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"n1.node.dc2.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"0a000001.addr.consul", miekg.TypeA, answer{ok, "0a000001.addr.consul. 7 A 10.0.0.1", "", ""}},
		{"0A000001.addr.dc1.consul", miekg.TypeA, answer{ok, "0A000001.addr.dc1.consul. 7 A 10.0.0.1", "", ""}},
		{"0a000001.addr.consul", miekg.TypeAAAA, answer{ok, "", soa, ""}},
		{"fd000000000000000000000000000003.addr.consul", miekg.TypeAAAA, answer{ok, "fd000000000000000000000000000003.addr.consul. 7 AAAA fd00::3", "", ""}},
		{"0a0001.addr.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"whatever.addr.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"a.0a000001.addr.consul", miekg.TypeA, answer{none, "", soa, ""}},
	})
}

func TestPreparedQueriesAreExecuted(t *testing.T) {
	answered(t, []form{
		{"best.query.consul", miekg.TypeA, answer{ok, "best.query.consul. 12 A 10.0.0.1", "", ""}},
		{"_best._tcp.query.dc1.consul", miekg.TypeA, answer{ok, "_best._tcp.query.dc1.consul. 12 A 10.0.0.1", "", ""}},
		{"dotted.name.query.consul", miekg.TypeA, answer{ok, "dotted.name.query.consul. 5 A 10.0.0.1", "", ""}},
		{"empty.query.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"missing.query.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"broken.query.consul", miekg.TypeA, answer{"SERVFAIL", "", "", ""}},
	})
}

func TestTheDomainAndNamesWithoutRecordsAreAnswered(t *testing.T) {
	answered(t, []form{
		{"consul", miekg.TypeSOA, answer{ok, soa, "consul. 7 NS n1.node.dc1.consul.", "n1.node.dc1.consul. 7 A 10.0.0.1"}},
		{"consul", miekg.TypeNS, answer{ok, "consul. 7 NS n1.node.dc1.consul.", "", "n1.node.dc1.consul. 7 A 10.0.0.1"}},
		{"consul", miekg.TypeANY, answer{ok, "consul. 30 SOA ns.consul. hostmaster.consul. 1 3600 600 86400 30\nconsul. 7 NS n1.node.dc1.consul.", "", "n1.node.dc1.consul. 7 A 10.0.0.1"}},
		{"consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"web.service.other.org", miekg.TypeAAAA, answer{ok, "web.service.other.org. 0 AAAA fd00::3", "", ""}},
		{"odd.service.other.org", miekg.TypeSRV, answer{ok, "odd.service.other.org. 0 SRV 1 3 7 0a000005.addr.dc1.other.org.", "", "0a000005.addr.dc1.other.org. 0 A 10.0.0.5"}},
		{"service.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"dc1.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"dc.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"dc1.dc.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"service.dc1.dc.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"_tcp.service.consul", miekg.TypeA, answer{ok, "", soa, ""}},
		{"service.dc2.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"whatever.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"web.connect.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"web.virtual.consul", miekg.TypeA, answer{none, "", soa, ""}},
		{"web.ingress.consul", miekg.TypeA, answer{none, "", soa, ""}},
	})
}

func TestOtherNamesAreReverseLookupsOrRefused(t *testing.T) {
	answered(t, []form{
		{"1.0.0.10.in-addr.arpa", miekg.TypePTR, answer{ok, "1.0.0.10.in-addr.arpa. 0 PTR n1.node.dc1.consul.", "", ""}},
		{"2.0.1.10.in-addr.arpa", miekg.TypePTR, answer{ok, "2.0.1.10.in-addr.arpa. 0 PTR Web.service.dc1.consul.", "", ""}},
		{"3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", miekg.TypePTR, answer{ok, "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 0 PTR n3.node.dc1.consul.", "", ""}},
		{"9.0.0.10.in-addr.arpa", miekg.TypePTR, answer{"REFUSED", "", "", ""}},
		{"fd00::3.in-addr.arpa", miekg.TypePTR, answer{"REFUSED", "", "", ""}},
		{"0.0.10.in-addr.arpa", miekg.TypePTR, answer{"REFUSED", "", "", ""}},
		{"1.0.0.10.in-addr.arpa", miekg.TypeA, answer{"REFUSED", "", "", ""}},
		{"example.com", miekg.TypeA, answer{"REFUSED", "", "", ""}},
		{"consul", miekg.TypeAXFR, answer{"NOTIMP", "", "", ""}},
	})
}

// execute knows some prepared queries.
func execute(_ context.Context, name string, _ netip.Addr, _ api.QueryOptions) (dns.Executed, error) {
	found := []api.CheckServiceNode{instance(n1, api.NodeService{ID: "db", Service: "db", Port: 5432}, api.HealthPassing)}
	switch name {
	case "best":
		return dns.Executed{Instances: found, TTL: 12 * time.Second}, nil
	case "dotted.name":
		return dns.Executed{Instances: found, TTL: 5 * time.Second}, nil
	case "empty":
		return dns.Executed{}, nil
	case "broken":
		return dns.Executed{}, errors.New("no luck")
	}
	return dns.Executed{}, fault.New(fault.NotFound, "Query not found")
}
