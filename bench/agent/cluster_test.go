// Package agent_test measures how fast the agent is: servers in this process
// that talk over loopback and write to a real disk, asked as users ask them.
// It is no part of package bench since that runs on the deterministic runtime,
// and users do not. ../README.md has figures and says what bounds them.
package agent_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
)

// cluster is servers in this process.
type cluster struct {
	*testing.B
	leader, follower *member // the same if there is but one
}

// member is a server and a client of it.
type member struct {
	*agent.Agent
	*api.Client
	http http.Client
	dns  string // address
}

// start starts servers that know of each other and take writes.
func start(b *testing.B, servers int) cluster {
	b.Helper()
	var members []*member
	var first []string
	for i := range servers {
		m := join(b, i, servers, first)
		members = append(members, m)
		first = []string{fmt.Sprintf("127.0.0.1:%d", members[0].Config().Ports.SerfLAN)}
	}
	c := cluster{B: b}
	for _, m := range members {
		await(b, func() error { return m.put("ready", nil) })
		if m.Server().Raft().IsLeader() {
			c.leader = m
		} else {
			c.follower = m
		}
	}
	if servers == 1 {
		c.follower = c.leader
	}
	if c.leader == nil || c.follower == nil {
		b.Fatal("leadership changed at the start")
	}
	return c
}

// join starts one of several servers.
func join(b *testing.B, i, servers int, first []string) *member {
	b.Helper()
	c := config.Default()
	c.NodeName, c.DataDir = fmt.Sprintf("server-%d", i), b.TempDir()
	c.Server, c.BootstrapExpect, c.Join.Retry, c.Raft.Multiplier = true, servers, first, 1
	c.BindAddr, c.AdvertiseAddr = "127.0.0.1", "127.0.0.1"
	c.Ports = config.Ports{HTTP: 0, DNS: freePort(b), Server: freePort(b), SerfLAN: freePort(b)}
	a, err := agent.New(b.Context(), c, host.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	m := &member{Agent: a, dns: fmt.Sprintf("127.0.0.1:%d", c.Ports.DNS)}
	m.Client, m.http = connect(b, a, "127.0.0.1")
	return m
}

// connect returns clients of an agent, from an address of this machine: an agent
// limits the connections from each.
func connect(b *testing.B, a *agent.Agent, from string) (*api.Client, http.Client) {
	b.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 1 << 10}
	b.Cleanup(transport.CloseIdleConnections)
	client, err := api.NewClient(&api.Config{Address: a.HTTPAddr(), HttpClient: &http.Client{Transport: transport}})
	if err != nil {
		b.Fatal(err)
	}
	return client, http.Client{Transport: transport}
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() // the agent takes it
	return l.Addr().(*net.TCPAddr).Port
}

// await waits until something can be done.
func await(b *testing.B, do func() error) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			b.Fatal(err)
		}
	}
}

func (m *member) put(key string, value []byte) error {
	_, err := m.KV().Put(&api.KVPair{Key: key, Value: value}, nil)
	return err
}

// get asks without Consul's client, and does not read the answer's JSON.
func (m *member) get(path string) error {
	resp, err := m.http.Get("http://" + m.HTTPAddr() + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// leads ends a benchmark whose leader is none any more, as happens where a machine
// has too much to do: it would measure how its requests are sent on.
func (c cluster) leads(b *testing.B) {
	b.Helper()
	if !c.leader.Server().Raft().IsLeader() {
		b.Fatal("leadership changed")
	}
}

// measure does an operation again and again, one after the other, and reports
// how long the median and the slowest hundredth took.
func (c cluster) measure(b *testing.B, do func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	var took latencies
	for i := 0; b.Loop(); i++ {
		begun := time.Now()
		if err := do(i); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	took.report(b)
	c.leads(b)
}

// latencies are how long operations took.
type latencies []time.Duration

func (l latencies) report(b *testing.B) {
	slices.Sort(l)
	b.ReportMetric(float64(l[len(l)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(l[len(l)*99/100].Nanoseconds()), "p99-ns")
}

// instance is a registration of an instance of a service on a node of its own,
// with a check that passes.
func instance(service string, i int) *api.CatalogRegistration {
	return &api.CatalogRegistration{
		Node: fmt.Sprintf("node-%d", i), Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1),
		Service: &api.AgentService{Service: service, Port: 8080, Tags: []string{"v1", "primary"}, Meta: map[string]string{"version": "1.2.3"}},
		Check:   &api.AgentCheck{CheckID: service + ":http", Name: "HTTP", Status: api.HealthPassing, Output: "HTTP GET: 200 OK", ServiceID: service},
	}
}

// register registers instances of a service on as many nodes.
func (c cluster) register(service string, instances int) {
	c.Helper()
	for i := range instances {
		if _, err := c.leader.Catalog().Register(instance(service, i), nil); err != nil {
			c.Fatal(err)
		}
	}
}
