package dns_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"
	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/dns"
)

// drawn is a service and a question about it.
type drawn struct {
	instances []api.CheckServiceNode
	settings  dns.Settings
	qtype     uint16
	tcp       bool
	edns      int // bytes, 0 for none
}

func draw(rt *rapid.T) drawn {
	status := rapid.SampledFrom([]string{api.HealthPassing, api.HealthPassing, api.HealthWarning, api.HealthCritical})
	d := drawn{settings: dns.DefaultSettings()}
	n := rapid.SampledFrom([]int{0, 1, 2, 3, 4, 8, 30, 120}).Draw(rt, "instances")
	for i := range n {
		on := rapid.IntRange(0, n).Draw(rt, "node") // from which all about the node follows
		node := api.Node{
			Node: fmt.Sprintf("node%d", on), Address: fmt.Sprintf("10.1.0.%d", on), Meta: map[string]string{"role": strings.Repeat("x", on)},
		}
		s := api.NodeService{ID: fmt.Sprint(i), Service: "web", Port: rapid.IntRange(1, 3).Draw(rt, "port"), Weights: weights}
		if rapid.Bool().Draw(rt, "has an address") {
			s.Address = fmt.Sprintf(rapid.SampledFrom([]string{"10.2.0.%d", "10.3.0.%d", "fd00::%x"}).Draw(rt, "address"), on)
		}
		c := instance(node, s, status.Draw(rt, "status"))
		if rapid.IntRange(0, 9).Draw(rt, "node is down") == 0 {
			c.Checks[0].Status = api.HealthCritical
		}
		d.instances = append(d.instances, c)
	}
	d.settings.OnlyPassing = rapid.Bool().Draw(rt, "only passing")
	d.settings.EnableTruncate = rapid.Bool().Draw(rt, "truncate")
	d.settings.DisableCompression = rapid.Bool().Draw(rt, "no compression")
	d.settings.NodeMetaTXT = rapid.Bool().Draw(rt, "metadata")
	d.settings.UDPAnswerLimit = rapid.SampledFrom([]int{0, 1, 3, 20}).Draw(rt, "UDP answers")
	d.settings.ARecordLimit = rapid.SampledFrom([]int{0, 0, 1, 5}).Draw(rt, "A records")
	d.qtype = rapid.SampledFrom([]uint16{miekg.TypeA, miekg.TypeAAAA, miekg.TypeSRV, miekg.TypeANY}).Draw(rt, "type")
	d.tcp = rapid.Bool().Draw(rt, "TCP")
	d.edns = rapid.SampledFrom([]int{0, 1, 512, 600, 1232, 4096, 65535}).Draw(rt, "EDNS")
	return d
}

// healthy is the model of health: no check is critical, and with OnlyPassing none
// is a warning.
func (d drawn) healthy() []api.CheckServiceNode {
	var found []api.CheckServiceNode
	for _, i := range d.instances {
		bad := false
		for _, c := range i.Checks {
			bad = bad || c.Status == api.HealthCritical || d.settings.OnlyPassing && c.Status == api.HealthWarning
		}
		if !bad {
			found = append(found, i)
		}
	}
	return found
}

// expected is the model of a whole answer: its records, and the additional ones.
func (d drawn) expected() (records, additional map[string]bool) {
	records, additional = map[string]bool{}, map[string]bool{}
	for _, i := range d.healthy() {
		at, target := i.Service.Address, ""
		if at == "" {
			at, target = i.Node.Address, i.Node.Node+".node.dc1.consul."
		}
		ip := netip.MustParseAddr(at)
		if target == "" {
			target = hex.EncodeToString(ip.AsSlice()) + ".addr.dc1.consul."
		}
		kind, qtype := "A", miekg.TypeA
		if ip.Is6() {
			kind, qtype = "AAAA", miekg.TypeAAAA
		}
		switch {
		case d.qtype == miekg.TypeSRV:
			records[fmt.Sprintf("SRV %s %d", target, i.Service.Port)] = true
			additional[fmt.Sprintf("%s 0 %s %s", target, kind, ip)] = true
			if d.settings.NodeMetaTXT {
				additional[fmt.Sprintf("%s.node.dc1.consul. 0 TXT \"role=%s\"", i.Node.Node, i.Node.Meta["role"])] = true
			}
		case d.qtype == qtype, d.qtype == miekg.TypeANY:
			records[kind+" "+ip.String()] = true
		}
	}
	return records, additional
}

// told are the records of an answer as the model writes them.
func told(m *miekg.Msg) (records, additional []string) {
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *miekg.A:
			records = append(records, "A "+rr.A.String())
		case *miekg.AAAA:
			records = append(records, "AAAA "+rr.AAAA.String())
		case *miekg.SRV:
			records = append(records, fmt.Sprintf("SRV %s %d", rr.Target, rr.Port))
		default:
			records = append(records, rr.String())
		}
	}
	if t := text(m.Extra); t != "" {
		additional = strings.Split(t, "\n")
	}
	return records, additional
}

// limit is what the client of a question can take.
func (d drawn) limit() int {
	switch {
	case d.tcp:
		return 65535
	case d.edns == 65535:
		return 65467
	}
	return max(d.edns, 512)
}

func TestTheAnswersAreTheHealthyInstancesAndFitTheClient(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := draw(rt)
		q := query("web.service.consul", d.qtype)
		if d.edns > 0 {
			q.SetEdns0(uint16(d.edns), false)
		}
		var m, whole *miekg.Msg
		var size, wholeSize int
		inWorld(t, &fake{instances: d.instances}, func(c *dns.Config) { c.Settings = d.settings }, func(w *world) {
			m, size = w.exchange(q, d.tcp)
			whole, wholeSize = w.exchange(q, true)
		})
		records, additional := d.expected()
		wantRcode := miekg.RcodeSuccess
		if len(d.healthy()) == 0 {
			wantRcode = miekg.RcodeNameError
		}
		if m.Rcode != wantRcode {
			rt.Fatalf("rcode %s", miekg.RcodeToString[m.Rcode])
		}
		if (len(records) == 0) != (len(m.Ns) == 1 && m.Ns[0].Header().Rrtype == miekg.TypeSOA) {
			rt.Fatalf("SOA beside %d records: %v", len(records), m.Ns)
		}
		if size > d.limit() {
			rt.Fatalf("%d bytes for a client that takes %d", size, d.limit())
		}
		gotRecords, gotAdditional := told(m)
		if !subset(gotRecords, records) || !subset(gotAdditional, additional) {
			rt.Fatalf("told %v and %v\nof   %v and %v", gotRecords, gotAdditional, records, additional)
		}
		most := len(records)
		if d.settings.ARecordLimit > 0 && d.qtype != miekg.TypeSRV {
			most = min(most, d.settings.ARecordLimit)
		}
		if len(whole.Answer) != most || whole.Truncated {
			rt.Fatalf("%d answers over TCP of %d", len(whole.Answer), most)
		}
		limited := !d.tcp && d.limit() == 512 && d.settings.UDPAnswerLimit > 0 && most > d.settings.UDPAnswerLimit
		left := len(gotRecords) < most || len(gotAdditional) < len(additional)
		if left != (limited || wholeSize > d.limit()) {
			rt.Fatalf("left something out: %v, of %d bytes for a client that takes %d", left, wholeSize, d.limit())
		}
		if m.Truncated != (left && d.settings.EnableTruncate && !d.tcp) {
			rt.Fatalf("TC is %v, left something out: %v", m.Truncated, left)
		}
		if most > 0 && len(gotRecords) == 0 {
			rt.Fatal("truncated to nothing")
		}
		for _, rr := range m.Answer {
			if srv, ok := rr.(*miekg.SRV); ok && !slices.ContainsFunc(m.Extra, func(e miekg.RR) bool { return e.Header().Name == srv.Target }) {
				rt.Fatalf("%v goes without its address", srv)
			}
		}
	})
}

// subset reports whether all of some are in whole, each once.
func subset(some []string, whole map[string]bool) bool {
	seen := map[string]bool{}
	for _, s := range some {
		if !whole[s] || seen[s] {
			return false
		}
		seen[s] = true
	}
	return true
}

// mass is a service with n instances.
func mass(n int) *fake {
	f := &fake{}
	for i := range n {
		on := api.Node{Node: fmt.Sprintf("n%d", i), Address: fmt.Sprintf("10.1.%d.%d", i/256, i%256)}
		f.instances = append(f.instances, instance(on, api.NodeService{Service: "web", Port: 80, Weights: weights}, api.HealthPassing))
	}
	return f
}

func TestMoreThanAStreamCarriesIsCutToWhatItCarries(t *testing.T) {
	inWorld(t, mass(3000), func(c *dns.Config) { c.Settings.EnableTruncate = true }, func(w *world) {
		m, size := w.exchange(query("web.service.consul", miekg.TypeSRV), true)
		if size > 65535 || size < 65535-200 || m.Truncated || len(m.Answer) != len(m.Extra) {
			t.Errorf("%d bytes, TC %v, %d answers, %d additional", size, m.Truncated, len(m.Answer), len(m.Extra))
		}
	})
}

func TestAnAnswerThatIsTooLongWithItsMetadataGoesWithoutSome(t *testing.T) {
	big := api.Node{Node: "big", Address: "10.0.0.1", Meta: map[string]string{"a": strings.Repeat("a", 200), "b": strings.Repeat("b", 300)}}
	catalog := &fake{nodes: []api.Node{big}, instances: []api.CheckServiceNode{instance(big, api.NodeService{Service: "web", Port: 80, Weights: weights}, api.HealthPassing)}}
	inWorld(t, catalog, func(c *dns.Config) { c.Settings.EnableTruncate = true }, func(w *world) {
		m, _ := w.exchange(query("web.service.consul", miekg.TypeSRV), false)
		if len(m.Answer) != 1 || len(m.Extra) != 2 || !m.Truncated {
			t.Errorf("over UDP: %v", m)
		}
		m, _ = w.exchange(query("web.service.consul", miekg.TypeSRV), true)
		if len(m.Answer) != 1 || len(m.Extra) != 3 || m.Truncated {
			t.Errorf("over TCP: %v", m)
		}
		if m, _ = w.exchange(query("big.node.consul", miekg.TypeTXT), true); len(m.Answer) != 2 || strings.Join(m.Answer[1].(*miekg.TXT).Txt, "") != "b="+strings.Repeat("b", 300) {
			t.Errorf("metadata: %v", m)
		}
	})
}

func TestADomainTooLongForItsSOAIsAnsweredWithoutIt(t *testing.T) {
	label := strings.Repeat("d", 60)
	domain := strings.Join([]string{label, label, label}, ".") + "."
	inWorld(t, &fake{}, func(c *dns.Config) {
		c.Domain, c.Settings.DisableCompression, c.Settings.EnableTruncate = domain, true, true
	}, func(w *world) {
		m := w.ask("x.node."+domain, miekg.TypeA)
		if m.Rcode != miekg.RcodeNameError || len(m.Ns) != 0 || !m.Truncated {
			t.Errorf("%v", m)
		}
	})
}

func TestAnAnswerMayFillWhatTheClientCanTakeToTheLastByte(t *testing.T) {
	for _, plain := range []bool{false, true} {
		inWorld(t, mass(40), func(c *dns.Config) {
			c.Settings.EnableTruncate, c.Settings.DisableCompression = true, plain
		}, func(w *world) {
			for _, qtype := range []uint16{miekg.TypeA, miekg.TypeSRV} {
				_, whole := w.exchange(query("web.service.consul", qtype).SetEdns0(4096, false), true)
				for _, size := range []int{whole - 1, whole, whole + 1} {
					m, got := w.exchange(query("web.service.consul", qtype).SetEdns0(uint16(size), false), false)
					if m.Truncated != (size < whole) || got > size || size >= whole && got != whole {
						t.Errorf("type %d, plain %v: %d bytes of %d for a client that takes %d, TC %v", qtype, plain, got, whole, size, m.Truncated)
					}
				}
			}
		})
	}
}

func TestTheSOAOfALongDomainGoesWithoutTheServers(t *testing.T) {
	label := strings.Repeat("d", 60)
	domain := strings.Join([]string{label, label, label[:30]}, ".") + "."
	catalog := &fake{instances: []api.CheckServiceNode{instance(n1, api.NodeService{Service: "consul"}, api.HealthPassing)}}
	inWorld(t, catalog, func(c *dns.Config) { c.Domain, c.Settings.DisableCompression = domain, true }, func(w *world) {
		if m, _ := w.exchange(query(domain, miekg.TypeSOA), true); len(m.Answer) != 1 || len(m.Ns) != 1 || len(m.Extra) != 1 {
			t.Errorf("over TCP: %v", m)
		}
		if m, _ := w.exchange(query(domain, miekg.TypeSOA).SetEdns0(900, false), false); len(m.Answer) != 1 || len(m.Ns) != 0 || m.Truncated {
			t.Errorf("over UDP: %v", m)
		}
	})
}

func TestAtMostThreeServersAreTold(t *testing.T) {
	servers := mass(5)
	for i := range servers.instances {
		servers.instances[i].Service.Service = "consul"
	}
	inWorld(t, servers, nil, func(w *world) {
		if m, _ := w.exchange(query("consul", miekg.TypeNS), true); len(m.Answer) != 3 || len(m.Extra) != 3 {
			t.Error(m)
		}
	})
}
