package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"
	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/dns"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a catalog that says what a test tells it to. Its rules are those of the
// real one: names and tags are found whatever their case.
type fake struct {
	mu        sync.Mutex // guards asked and hang
	nodes     []api.Node
	instances []api.CheckServiceNode
	err       error
	behind    time.Duration // of stale answers
	asked     []api.QueryOptions
	hang      bool // until the context ends
}

func (f *fake) begin(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
	f.mu.Lock()
	f.asked = append(f.asked, o)
	hang := f.hang
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return api.QueryMeta{}, ctx.Err()
	}
	if o.AllowStale {
		return api.QueryMeta{LastContact: f.behind}, f.err
	}
	return api.QueryMeta{}, f.err
}

func has(tags, want []string) bool {
	for _, w := range want {
		if !slices.ContainsFunc(tags, func(t string) bool { return strings.EqualFold(t, w) }) {
			return false
		}
	}
	return true
}

func (f *fake) HealthOfService(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	meta, err := f.begin(ctx, r.QueryOptions)
	var found []api.CheckServiceNode
	for _, i := range f.instances {
		if strings.EqualFold(i.Service.Service, r.Service) && has(i.Service.Tags, r.Tags) {
			found = append(found, i)
		}
	}
	return api.List[api.CheckServiceNode]{Items: found, QueryMeta: meta}, err
}

func (f *fake) NodeServices(ctx context.Context, r api.CatalogRequest) (api.NodeServicesResponse, error) {
	meta, err := f.begin(ctx, r.QueryOptions)
	a := api.NodeServicesResponse{QueryMeta: meta}
	for i := range f.nodes {
		if strings.EqualFold(f.nodes[i].Node, r.Node) {
			a.Node = &f.nodes[i]
		}
	}
	return a, err
}

func (f *fake) Nodes(ctx context.Context, r api.CatalogRequest) (api.List[api.Node], error) {
	meta, err := f.begin(ctx, r.QueryOptions)
	return api.List[api.Node]{Items: f.nodes, QueryMeta: meta}, err
}

func (f *fake) Services(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, error) {
	meta, err := f.begin(ctx, r.QueryOptions)
	a := api.ServicesResponse{Services: map[string][]string{}, QueryMeta: meta}
	for _, i := range f.instances {
		a.Services[i.Service.Service] = nil
	}
	return a, err
}

func (f *fake) ServiceNodes(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], error) {
	meta, err := f.begin(ctx, r.QueryOptions)
	a := api.List[api.CatalogService]{QueryMeta: meta}
	for _, i := range f.instances {
		if strings.EqualFold(i.Service.Service, r.Service) {
			a.Items = append(a.Items, api.CatalogService{ServiceAddress: i.Service.Address})
		}
	}
	return a, err
}

// instance makes an instance on a node, with a check in a state.
func instance(n api.Node, s api.NodeService, status string) api.CheckServiceNode {
	return api.CheckServiceNode{Node: &n, Service: &s, Checks: []api.HealthCheck{
		{Node: n.Node, CheckID: api.SerfCheckID, Status: api.HealthPassing},
		{Node: n.Node, CheckID: "own", ServiceID: s.ID, Status: status},
	}}
}

var (
	serverIP   = netip.MustParseAddr("10.0.9.1")
	clientIP   = netip.MustParseAddr("10.0.9.2")
	serverAddr = netip.MustParseAddrPort("10.0.9.1:8600")
)

// world is a server in a bubble, with a catalog, and a client.
type world struct {
	*testing.T
	net     *hosttest.Network
	client  host.Network
	catalog *fake
	server  *dns.Server
}

// inWorld runs a test in a bubble; what the test sets differs from the defaults.
func inWorld(t *testing.T, catalog *fake, set func(*dns.Config), f func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		n := hosttest.NewNetwork()
		w := &world{T: t, net: n, client: n.Host("client", clientIP, nil).Network(), catalog: catalog}
		c := dns.Config{
			Network: datagrams{n.Host("server", serverIP, nil).Network()}, Bind: []string{serverAddr.String()}, Logger: slog.New(slog.DiscardHandler),
			Datacenter: "dc1", Catalog: catalog, Settings: dns.DefaultSettings(),
		}
		if set != nil {
			set(&c)
		}
		var err error
		if w.server, err = dns.Start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.server.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(w)
	})
}

// datagrams adds connected datagram sockets to a network.
type datagrams struct{ host.Network }

func (d datagrams) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "udp" {
		return d.Network.Dial(ctx, network, address)
	}
	c, err := d.ListenPacket(ctx, network, ":0")
	return connected{c, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address))}, err
}

type connected struct {
	net.PacketConn
	peer net.Addr
}

func (c connected) RemoteAddr() net.Addr { return c.peer }

func (c connected) Read(b []byte) (int, error) {
	n, _, err := c.ReadFrom(b)
	return n, err
}

func (c connected) Write(b []byte) (int, error) { return c.WriteTo(b, c.peer) }

// udp is where the server takes datagrams.
func (w *world) udp() net.Addr { return net.UDPAddrFromAddrPort(serverAddr) }

func query(name string, qtype uint16) *miekg.Msg {
	return new(miekg.Msg).SetQuestion(miekg.Fqdn(name), qtype)
}

// ask asks over UDP.
func (w *world) ask(name string, qtype uint16) *miekg.Msg {
	w.Helper()
	m, _ := w.exchange(query(name, qtype), false)
	return m
}

// exchange sends a query and returns the answer with its size.
func (w *world) exchange(m *miekg.Msg, tcp bool) (*miekg.Msg, int) {
	w.Helper()
	packed, err := m.Pack()
	if err != nil {
		w.Fatal(err)
	}
	b := w.send(packed, tcp)
	if b == nil {
		w.Fatalf("no answer to %v", m.Question)
	}
	a := new(miekg.Msg)
	if err := a.Unpack(b); err != nil {
		w.Fatal(err)
	}
	if a.Id != m.Id || !a.Response {
		w.Fatalf("not an answer: %v", a)
	}
	return a, len(b)
}

// send sends bytes and returns those of the answer, nil if none comes.
func (w *world) send(packed []byte, tcp bool) []byte {
	w.Helper()
	const patience = 30 * time.Second
	if tcp {
		c, err := w.client.Dial(w.Context(), "tcp", serverAddr.String())
		if err != nil {
			w.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
			w.Fatal(err)
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return nil
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			w.Fatal(err)
		}
		return b
	}
	c, err := w.client.ListenPacket(w.Context(), "udp", ":0")
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteTo(packed, net.UDPAddrFromAddrPort(serverAddr)); err != nil {
		w.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1<<16)
	n, _, err := c.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	return b[:n]
}

// text writes records one a line, sorted, without class: "NAME TTL TYPE DATA".
func text(rrs []miekg.RR) string {
	var lines []string
	for _, rr := range rrs {
		switch rr := rr.(type) {
		case *miekg.OPT:
			continue
		case *miekg.SOA:
			rr.Serial = 1
		}
		lines = append(lines, strings.ReplaceAll(strings.ReplaceAll(rr.String(), "\tIN\t", "\t"), "\t", " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
