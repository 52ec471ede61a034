package dns_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"

	"tribune/impl/api"
	"tribune/impl/dns"
)

// upstream is a recursor that answers by a function; nil: it keeps silent.
type upstream struct {
	mu    sync.Mutex
	asked []string // "udp NAME TYPE"
}

func (u *upstream) ask(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, what)
}

// heard lists what it was asked.
func (u *upstream) heard() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.asked)
}

// recursor starts one on a host of its own.
func (w *world) recursor(ip string, answer func(q *miekg.Msg) *miekg.Msg) *upstream {
	u := &upstream{}
	h := w.net.Host(ip, netip.MustParseAddr(ip), nil).Network()
	l, err := h.Listen(w.Context(), "tcp", ":53")
	if err != nil {
		w.Fatal(err)
	}
	p, err := h.ListenPacket(w.Context(), "udp", ":53")
	if err != nil {
		w.Fatal(err)
	}
	handle := func(transport string) miekg.HandlerFunc {
		return func(rw miekg.ResponseWriter, q *miekg.Msg) {
			u.ask(transport + " " + q.Question[0].Name + " " + miekg.TypeToString[q.Question[0].Qtype])
			if m := answer(q); m != nil {
				_ = rw.WriteMsg(m)
			}
		}
	}
	for _, s := range []*miekg.Server{{Listener: l, Handler: handle("tcp")}, {PacketConn: p, Handler: handle("udp"), UDPSize: 4096}} {
		go s.ActivateAndServe()
		synctest.Wait()
		w.Cleanup(func() { _ = s.Shutdown() })
	}
	return u
}

// says answers with records and an rcode.
func says(rcode int, records ...string) func(*miekg.Msg) *miekg.Msg {
	return func(q *miekg.Msg) *miekg.Msg {
		m := new(miekg.Msg)
		m.SetRcode(q, rcode)
		for _, text := range records {
			rr, err := miekg.NewRR(text)
			if err != nil {
				panic(err)
			}
			if t := rr.Header().Rrtype; t == q.Question[0].Qtype || t == miekg.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
		}
		return m
	}
}

func silence(*miekg.Msg) *miekg.Msg { return nil }

func recursors(addresses ...string) func(*dns.Config) {
	return func(c *dns.Config) { c.Settings.Recursors = addresses }
}

func TestOtherNamesAreForwardedOverTheSameTransport(t *testing.T) {
	inWorld(t, town(), recursors("10.0.5.1"), func(w *world) {
		u := w.recursor("10.0.5.1", says(miekg.RcodeSuccess, "example.com. 60 A 192.0.2.1"))
		for _, tcp := range []bool{false, true} {
			m, _ := w.exchange(query("Example.com", miekg.TypeA), tcp)
			if text(m.Answer) != "example.com. 60 A 192.0.2.1" || !m.RecursionAvailable || m.Authoritative || m.Question[0].Name != "Example.com." {
				t.Errorf("TCP %v: %v", tcp, m)
			}
		}
		if want := []string{"udp Example.com. A", "tcp Example.com. A"}; !slices.Equal(u.heard(), want) {
			t.Errorf("asked %q", u.heard())
		}
		if m := w.ask("web.service.consul", miekg.TypeA); !m.RecursionAvailable || !m.Authoritative {
			t.Errorf("own: %v", m)
		}
		if m := w.ask("missing.service.consul", miekg.TypeA); m.Rcode != miekg.RcodeNameError {
			t.Errorf("own: %v", m)
		}
		if len(u.heard()) != 2 {
			t.Errorf("asked for names of ours: %q", u.heard())
		}
	})
}

func TestRecursorsAreAskedInOrderUntilOneKnows(t *testing.T) {
	for _, c := range []struct {
		name                 string
		first, second, third func(*miekg.Msg) *miekg.Msg
		want                 string // rcode
		asked                [3]int
		took                 time.Duration
	}{
		{"the first knows", says(0), says(0), says(0), "NOERROR", [3]int{1, 0, 0}, 0},
		{"NXDOMAIN is knowledge", says(miekg.RcodeNameError), says(0), says(0), "NXDOMAIN", [3]int{1, 0, 0}, 0},
		{"the first refuses", says(miekg.RcodeRefused), says(0), says(0), "NOERROR", [3]int{1, 1, 0}, 0},
		{"two are silent", silence, silence, says(0), "NOERROR", [3]int{1, 1, 1}, 4 * time.Second},
		{"none knows", silence, says(miekg.RcodeServerFailure), silence, "SERVFAIL", [3]int{1, 1, 1}, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, town(), recursors("10.0.5.1", "10.0.5.2:53", "10.0.5.3"), func(w *world) {
				us := []*upstream{w.recursor("10.0.5.1", c.first), w.recursor("10.0.5.2", c.second), w.recursor("10.0.5.3", c.third)}
				begun := time.Now()
				m := w.ask("example.com", miekg.TypeA)
				if got := miekg.RcodeToString[m.Rcode]; got != c.want || time.Since(begun) != c.took || !m.RecursionAvailable {
					t.Errorf("after %v: %v", time.Since(begun), m)
				}
				for i, u := range us {
					if len(u.heard()) != c.asked[i] {
						t.Errorf("recursor %d was asked %q", i, u.heard())
					}
				}
			})
		})
	}
}

func TestARecursorThatIsGivenTwiceIsAskedOnce(t *testing.T) {
	inWorld(t, town(), recursors("10.0.5.1", "10.0.5.1:53", "10.0.5.1", "10.0.5.2"), func(w *world) {
		first, second := w.recursor("10.0.5.1", silence), w.recursor("10.0.5.2", says(0))
		w.ask("example.com", miekg.TypeA)
		if len(first.heard()) != 1 || len(second.heard()) != 1 {
			t.Errorf("asked %q and %q", first.heard(), second.heard())
		}
	})
}

func TestRecursorsCanBeAskedInRandomOrder(t *testing.T) {
	inWorld(t, town(), func(c *dns.Config) {
		c.Settings.Recursors, c.Settings.RecursorStrategy = []string{"10.0.5.1", "10.0.5.2"}, dns.Random
	}, func(w *world) {
		a, b := w.recursor("10.0.5.1", says(0)), w.recursor("10.0.5.2", says(0))
		for range 100 {
			w.ask("example.com", miekg.TypeA)
		}
		if len(a.heard()) == 0 || len(b.heard()) == 0 || len(a.heard())+len(b.heard()) != 100 {
			t.Errorf("asked %d and %d times", len(a.heard()), len(b.heard()))
		}
	})
}

func TestAnAnswerToAnotherQueryIsNotTaken(t *testing.T) {
	inWorld(t, town(), recursors("10.0.5.1"), func(w *world) {
		h := w.net.Host("forger", netip.MustParseAddr("10.0.5.1"), nil).Network()
		p, err := h.ListenPacket(w.Context(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		go func() {
			b := make([]byte, 4096)
			n, from, err := p.ReadFrom(b)
			q := new(miekg.Msg)
			if err != nil || q.Unpack(b[:n]) != nil {
				return
			}
			for _, change := range []func(*miekg.Msg){
				func(m *miekg.Msg) { m.Id++ },
				func(m *miekg.Msg) { m.Question[0].Name = "other.com." },
				func(m *miekg.Msg) { m.Question[0].Qtype = miekg.TypeAAAA },
				func(m *miekg.Msg) { m.Response = false },
				func(m *miekg.Msg) { m.Question = nil },
				func(m *miekg.Msg) { m.Answer[0].(*miekg.A).A = net.IPv4(192, 0, 2, 1) },
			} {
				m := says(0, "example.com. 60 A 203.0.113.66")(q)
				change(m)
				packed, _ := m.Pack()
				_, _ = p.WriteTo(packed, from)
			}
		}()
		if m := w.ask("example.com", miekg.TypeA); text(m.Answer) != "example.com. 60 A 192.0.2.1" {
			t.Error(m)
		}
	})
}

func TestAForwardedAnswerFitsTheClient(t *testing.T) {
	var records []string
	for range 60 {
		records = append(records, "example.com. 60 TXT "+strings.Repeat("x", 50))
	}
	inWorld(t, town(), recursors("10.0.5.1"), func(w *world) {
		w.recursor("10.0.5.1", says(0, records...))
		m, size := w.exchange(query("example.com", miekg.TypeTXT), false)
		if size > 512 || !m.Truncated || len(m.Answer) == 0 {
			t.Errorf("%d bytes: %v", size, m)
		}
		if m, _ = w.exchange(query("example.com", miekg.TypeTXT), true); m.Truncated || len(m.Answer) != 60 {
			t.Errorf("over TCP: %v", m)
		}
	})
}

func TestHostNamesAsAddressesAreResolved(t *testing.T) {
	for _, c := range []struct {
		name   string
		qtype  uint16
		answer string
		extra  string
	}{
		{"far.service.consul", miekg.TypeA, "cdn.example.com. 9 A 192.0.2.1\nfar.example.com. 9 CNAME cdn.example.com.\nfar.service.consul. 9 CNAME far.example.com.", ""},
		{"far.service.consul", miekg.TypeAAAA, "cdn.example.com. 9 AAAA 2001:db8::1\nfar.example.com. 9 CNAME cdn.example.com.\nfar.service.consul. 9 CNAME far.example.com.", ""},
		{"far.service.consul", miekg.TypeTXT, "far.service.consul. 9 CNAME far.example.com.", ""},
		{"far.service.consul", miekg.TypeSRV, "far.service.consul. 9 SRV 1 3 443 far.example.com.", "cdn.example.com. 9 A 192.0.2.1\ncdn.example.com. 9 AAAA 2001:db8::1\nfar.example.com. 9 CNAME cdn.example.com."},
		{"host.example.com.node.consul", miekg.TypeA, "cdn.example.com. 0 A 192.0.2.1\nfar.example.com. 0 CNAME cdn.example.com.\nhost.example.com.node.consul. 0 CNAME elsewhere.example.com.", ""},
	} {
		inWorld(t, town(), func(d *dns.Config) {
			d.Settings.Recursors, d.Settings.ServiceTTL, d.Settings.NodeMetaTXT = []string{"10.0.5.1"}, ttls("*", 9), false
		}, func(w *world) {
			w.recursor("10.0.5.1", says(0, "far.example.com. 60 CNAME cdn.example.com.", "cdn.example.com. 60 A 192.0.2.1", "cdn.example.com. 60 AAAA 2001:db8::1"))
			m, _ := w.exchange(query(c.name, c.qtype).SetEdns0(1232, false), false)
			if text(m.Answer) != c.answer || text(m.Extra) != c.extra {
				t.Errorf("%s: %v", c.name, m)
			}
		})
	}
}

func TestAHostNameThatNobodyResolvesIsAnsweredAlone(t *testing.T) {
	inWorld(t, town(), recursors("10.0.5.1"), func(w *world) {
		u := w.recursor("10.0.5.1", silence)
		begun := time.Now()
		if m := w.ask("far.service.consul", miekg.TypeSRV); len(m.Answer) != 1 || time.Since(begun) != 2*time.Second || len(u.heard()) != 1 {
			t.Errorf("after %v and %q: %v", time.Since(begun), u.heard(), m)
		}
	})
}

func TestAChainOfNamesOfOursIsFollowedSoFarAndNoFurther(t *testing.T) {
	catalog := &fake{}
	for i := range 9 {
		next := fmt.Sprintf("s%d.service.consul", i+1)
		catalog.instances = append(catalog.instances, instance(n1, api.NodeService{Service: fmt.Sprintf("s%d", i), Address: next, Weights: weights}, api.HealthPassing))
	}
	inWorld(t, catalog, nil, func(w *world) {
		want := "s0.service.consul. 0 CNAME s1.service.consul.\ns1.service.consul. 0 CNAME s2.service.consul.\n" +
			"s2.service.consul. 0 CNAME s3.service.consul.\ns3.service.consul. 0 CNAME s4.service.consul."
		if m, _ := w.exchange(query("s0.service.consul", miekg.TypeA), true); text(m.Answer) != want {
			t.Error(m)
		}
	})
}

func TestAReverseLookupThatTheCatalogDoesNotKnowIsForwarded(t *testing.T) {
	inWorld(t, town(), recursors("10.0.5.1"), func(w *world) {
		u := w.recursor("10.0.5.1", says(0, "9.0.0.10.in-addr.arpa. 60 PTR printer.example.com."))
		if m := w.ask("9.0.0.10.in-addr.arpa", miekg.TypePTR); text(m.Answer) != "9.0.0.10.in-addr.arpa. 60 PTR printer.example.com." {
			t.Error(m)
		}
		if m := w.ask("1.0.0.10.in-addr.arpa", miekg.TypePTR); text(m.Answer) != "1.0.0.10.in-addr.arpa. 0 PTR n1.node.dc1.consul." || len(u.heard()) != 1 {
			t.Error(m)
		}
	})
}
