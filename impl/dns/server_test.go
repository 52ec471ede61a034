package dns_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"

	"tribune/impl/api"
	"tribune/impl/dns"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestQueriesThatCannotBeAnsweredSayWhy(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*miekg.Msg)
		want int // -1: no answer
	}{
		{"another operation", func(m *miekg.Msg) { m.Opcode = miekg.OpcodeUpdate }, miekg.RcodeNotImplemented},
		{"a notification", func(m *miekg.Msg) { m.Opcode = miekg.OpcodeNotify }, miekg.RcodeNotImplemented},
		{"no question", func(m *miekg.Msg) { m.Question = nil }, miekg.RcodeFormatError},
		{"two questions", func(m *miekg.Msg) { m.Question = append(m.Question, m.Question[0]) }, miekg.RcodeFormatError},
		{"two OPT records", func(m *miekg.Msg) { m.SetEdns0(512, false).SetEdns0(512, false) }, miekg.RcodeFormatError},
		{"a class of old", func(m *miekg.Msg) { m.Question[0].Qclass = miekg.ClassCHAOS }, miekg.RcodeRefused},
		{"any class", func(m *miekg.Msg) { m.Question[0].Qclass = miekg.ClassANY }, miekg.RcodeSuccess},
		{"a transfer", func(m *miekg.Msg) { m.Question[0].Qtype = miekg.TypeAXFR }, miekg.RcodeNotImplemented},
		{"EDNS to come", func(m *miekg.Msg) { m.SetEdns0(512, false); m.IsEdns0().SetVersion(1) }, miekg.RcodeBadVers},
		{"an answer", func(m *miekg.Msg) { m.Response = true }, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, town(), nil, func(w *world) {
				q := query("web.service.consul", miekg.TypeA)
				c.set(q)
				packed, err := q.Pack()
				if err != nil {
					t.Fatal(err)
				}
				for _, tcp := range []bool{false, true} {
					b := w.send(packed, tcp)
					if b == nil {
						if c.want != -1 {
							t.Errorf("TCP %v: no answer", tcp)
						}
						continue
					}
					m := new(miekg.Msg)
					if err := m.Unpack(b); err != nil || m.Rcode != c.want || m.Id != q.Id || m.Opcode != q.Opcode {
						t.Errorf("TCP %v: %v %v", tcp, err, m)
					}
				}
			})
		})
	}
}

func TestTheOPTRecordIsAnswered(t *testing.T) {
	inWorld(t, town(), nil, func(w *world) {
		for _, name := range []string{"web.service.consul", "missing.service.consul", "example.com"} {
			for _, do := range []bool{false, true} {
				m, _ := w.exchange(query(name, miekg.TypeA).SetEdns0(1232, do), false)
				if o := m.IsEdns0(); o == nil || o.UDPSize() != 4096 || o.Do() != do || o.Version() != 0 {
					t.Errorf("%s: %v", name, m)
				}
			}
			if m := w.ask(name, miekg.TypeA); m.IsEdns0() != nil {
				t.Errorf("%s, unasked: %v", name, m)
			}
		}
	})
}

func TestAPreparedQueryLearnsWhereTheClientIs(t *testing.T) {
	var from []netip.Addr
	var asked []api.QueryOptions
	set := func(c *dns.Config) {
		c.Execute = func(ctx context.Context, name string, client netip.Addr, o api.QueryOptions) (dns.Executed, error) {
			from, asked = append(from, client), append(asked, o)
			found, err := execute(ctx, name, client, o)
			found.TTL = -1
			return found, err
		}
		c.Settings.ServiceTTL = ttls("db", 8)
		c.Settings.MaxStale = time.Minute
	}
	inWorld(t, town(), set, func(w *world) {
		for _, c := range []struct {
			subnet *miekg.EDNS0_SUBNET
			name   string
			want   netip.Addr
			scope  uint8
		}{
			{nil, "best.query.consul", clientIP, 0},
			{&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{198, 51, 100, 0}}, "best.query.consul", netip.MustParseAddr("198.51.100.0"), 24},
			{&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 2, SourceNetmask: 32, Address: netip.MustParseAddr("2001:db8::").AsSlice()}, "best.query.consul", netip.MustParseAddr("2001:db8::"), 32},
			{&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 1, Address: []byte{0, 0, 0, 0}}, "best.query.consul", clientIP, 0},
			{&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{198, 51, 100, 0}}, "web.service.consul", netip.Addr{}, 0},
		} {
			from = nil
			q := query(c.name, miekg.TypeA).SetEdns0(1232, false)
			if c.subnet != nil {
				q.IsEdns0().Option = append(q.IsEdns0().Option, c.subnet)
			}
			m, _ := w.exchange(q, false)
			if c.want.IsValid() && (len(from) != 1 || from[0] != c.want || m.Answer[0].Header().Ttl != 8) {
				t.Errorf("from %v instead of %v: %v", from, c.want, m)
			}
			if c.subnet == nil {
				continue
			}
			if o := m.IsEdns0(); len(o.Option) != 1 || o.Option[0].(*miekg.EDNS0_SUBNET).SourceScope != c.scope || o.Option[0].(*miekg.EDNS0_SUBNET).SourceNetmask != c.subnet.SourceNetmask {
				t.Errorf("%s: %v", c.name, o)
			}
		}
		if o := asked[0]; !o.AllowStale || o.MaxStaleDuration != time.Minute {
			t.Errorf("the query was executed with %+v", o)
		}
	})
}

func TestAStreamCarriesSeveralQueries(t *testing.T) {
	inWorld(t, town(), nil, func(w *world) {
		c, err := w.client.Dial(w.Context(), "tcp", serverAddr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conn := miekg.Conn{Conn: c}
		for range 3 {
			q := query("web.service.consul", miekg.TypeA)
			if err := conn.WriteMsg(q); err != nil {
				t.Fatal(err)
			}
			if m, err := conn.ReadMsg(); err != nil || m.Id != q.Id || len(m.Answer) != 2 {
				t.Errorf("%v %v", m, err)
			}
			time.Sleep(5 * time.Second)
		}
		begun := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(begun) > 10*time.Second {
			t.Errorf("a silent stream: %v after %v", err, time.Since(begun))
		}
	})
}

// stuff sends queries and takes no answers until the server cannot send any more.
func (w *world) stuff() net.Conn {
	c, err := w.client.Dial(w.Context(), "tcp", serverAddr.String())
	if err != nil {
		w.Fatal(err)
	}
	packed, _ := query("web.service.consul", miekg.TypeSRV).Pack()
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	for range 40 {
		if _, err := c.Write(framed); err != nil {
			w.Fatal(err)
		}
	}
	synctest.Wait()
	return c
}

func TestAClientThatTakesNoAnswersIsGivenUp(t *testing.T) {
	inWorld(t, mass(3000), nil, func(w *world) {
		defer w.stuff().Close()
		if n := w.net.Conns(serverIP); n != 1 {
			t.Fatalf("%d streams", n)
		}
		time.Sleep(5*time.Second + 1)
		if n := w.net.Conns(serverIP); n != 0 {
			t.Errorf("%d streams after five seconds", n)
		}
	})
}

func TestAServerThatCannotAcceptTriesAgainNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &exhausted{Network: hosttest.NewNetwork().Host("server", serverIP, nil).Network()}
		s, err := dns.Start(t.Context(), dns.Config{
			Network: n, Bind: []string{serverAddr.String()}, Logger: slog.New(slog.DiscardHandler), Datacenter: "dc1", Catalog: town(), Settings: dns.DefaultSettings(),
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n.tried < 2 || n.tried > 100 {
			t.Errorf("tried %d times in a second", n.tried)
		}
	})
}

// exhausted is a network of a host without free file descriptors.
type exhausted struct {
	host.Network
	tried int
}

func (n *exhausted) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := n.Network.Listen(ctx, network, address)
	return refusing{l, n}, err
}

type refusing struct {
	net.Listener
	net *exhausted
}

func (r refusing) Accept() (net.Conn, error) {
	r.net.tried++
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

func TestAServerThatListensEverywhereKnowsItsAddresses(t *testing.T) {
	everywhere := func(c *dns.Config) { c.Network = anywhere{c.Network} }
	inWorld(t, town(), everywhere, func(w *world) {
		for recursor, own := range map[string]bool{
			"127.0.0.1:8600": true, "[::1]:8600": true, serverAddr.String(): true, "0.0.0.0:8600": true, "10.0.5.1:8600": false, "127.0.0.1": false,
		} {
			s := dns.DefaultSettings()
			s.Recursors = []string{recursor}
			if err := w.server.Apply(s); (err != nil) != own {
				t.Errorf("%s is own: %v, got %v", recursor, own, err)
			}
		}
	})
}

// anywhere is a network on which listeners are not bound to an address.
type anywhere struct{ host.Network }

func (n anywhere) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := n.Network.Listen(ctx, network, address)
	return unbound{l}, err
}

type unbound struct{ net.Listener }

func (u unbound) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: int(serverAddr.Port())} }

func TestCloseWaitsForNobody(t *testing.T) {
	catalog := mass(3000)
	inWorld(t, catalog, recursors("10.0.5.1"), func(w *world) {
		w.recursor("10.0.5.1", silence)
		c, err := w.client.Dial(w.Context(), "tcp", serverAddr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p, err := w.client.ListenPacket(w.Context(), "udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		defer w.stuff().Close()
		catalog.hang = true
		for _, name := range []string{"web.service.consul", "example.com"} {
			conn := miekg.Conn{Conn: connected{p, w.udp()}}
			if err := conn.WriteMsg(query(name, miekg.TypeA)); err != nil {
				t.Fatal(err)
			}
		}
		stream := miekg.Conn{Conn: c}
		if err := stream.WriteMsg(query("web.service.consul", miekg.TypeA)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		if err := w.server.Close(); err != nil || time.Since(begun) != 0 {
			t.Errorf("closed after %v: %v", time.Since(begun), err)
		}
		if _, err := w.client.Dial(w.Context(), "tcp", serverAddr.String()); err == nil {
			t.Error("a closed server accepts streams")
		}
		if err := w.server.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestAServerStartsWhollyOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.NewNetwork().Host("server", serverIP, nil).Network()
		taken, err := h.ListenPacket(t.Context(), "udp", serverAddr.String())
		if err != nil {
			t.Fatal(err)
		}
		config := func() dns.Config {
			return dns.Config{Network: h, Bind: []string{serverAddr.String()}, Logger: slog.New(slog.DiscardHandler), Datacenter: "dc1", Catalog: town(), Settings: dns.DefaultSettings()}
		}
		if _, err := dns.Start(t.Context(), config()); err == nil {
			t.Error("started without UDP")
		}
		if err := taken.Close(); err != nil {
			t.Fatal(err)
		}
		for want, set := range map[string]func(*dns.Config){
			"no domain":         func(c *dns.Config) { c.Domain = "." },
			"domain to answer":  func(c *dns.Config) { c.AltDomain = strings.Repeat("x", 64) },
			"recursor_strategy": func(c *dns.Config) { c.Settings = dns.Settings{} },
			"itself":            func(c *dns.Config) { c.Settings.Recursors = []string{serverAddr.String()} },
		} {
			c := config()
			set(&c)
			if _, err := dns.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
		c := config()
		c.Bind = []string{netip.AddrPortFrom(serverIP, 0).String()}
		s, err := dns.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if at := s.Addr(); at.Addr() != serverIP || at.Port() == 0 {
			t.Errorf("listens on %v", at)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
