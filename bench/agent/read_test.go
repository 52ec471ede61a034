package agent_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/miekg/dns"
)

// BenchmarkHealthService asks for the 100 instances of a service: "client" is
// Consul's client, which also reads the JSON, "http" one that reads bytes. A
// follower has the leader answer, by gRPC.
func BenchmarkHealthService(b *testing.B) {
	const path, instances = "/v1/health/service/web", 100
	c := start(b, 3)
	c.register("web", instances)
	for _, mode := range []struct {
		name    string
		query   string
		passing bool
		options api.QueryOptions
		of      *member
	}{
		{"default", "", false, api.QueryOptions{}, c.leader},
		{"passing", "?passing", true, api.QueryOptions{}, c.leader},
		{"stale", "?stale", false, api.QueryOptions{AllowStale: true}, c.leader},
		{"filter", `?filter=Service.Meta.version+%3D%3D+"1.2.3"`, false, api.QueryOptions{Filter: `Service.Meta.version == "1.2.3"`}, c.leader},
		{"near", "?near=_agent", false, api.QueryOptions{Near: "_agent"}, c.leader},
		{"follower", "", false, api.QueryOptions{}, c.follower},
	} {
		b.Run(mode.name+"/client", func(b *testing.B) {
			c.measure(b, func(int) error {
				found, _, err := mode.of.Health().Service("web", "", mode.passing, &mode.options)
				if err == nil && len(found) != instances {
					err = fmt.Errorf("%d instances", len(found))
				}
				return err
			})
		})
		b.Run(mode.name+"/http", func(b *testing.B) {
			c.measure(b, func(int) error { return mode.of.get(path + mode.query) })
		})
	}
}

// BenchmarkDNS asks for the 10 instances of a service over UDP.
func BenchmarkDNS(b *testing.B) {
	c := start(b, 1)
	c.register("web", 10)
	for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
		b.Run(dns.TypeToString[qtype], func(b *testing.B) {
			conn, err := dns.Dial("udp", c.leader.dns)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			client := dns.Client{UDPSize: dns.DefaultMsgSize}
			q := new(dns.Msg).SetQuestion("web.service.consul.", qtype).SetEdns0(dns.DefaultMsgSize, false)
			c.measure(b, func(int) error {
				a, _, err := client.ExchangeWithConn(q, conn)
				if err == nil && len(a.Answer) != 10 {
					err = fmt.Errorf("%d answers", len(a.Answer))
				}
				return err
			})
		})
	}
}

// BenchmarkKVGet reads an entry in each of the consistency modes.
func BenchmarkKVGet(b *testing.B) {
	for _, servers := range []int{1, 3} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			c := start(b, servers)
			if err := c.leader.put("k", []byte("value")); err != nil {
				b.Fatal(err)
			}
			asked := map[string]*member{"leader": c.leader}
			if servers > 1 {
				asked["follower"] = c.follower
			}
			for _, mode := range []struct {
				name    string
				options api.QueryOptions
			}{
				{"default", api.QueryOptions{}},
				{"stale", api.QueryOptions{AllowStale: true}},
				{"consistent", api.QueryOptions{RequireConsistent: true}},
			} {
				for _, of := range []string{"leader", "follower"} {
					if asked[of] == nil {
						continue
					}
					b.Run(mode.name+"/"+of, func(b *testing.B) {
						await(b, func() error { return asked[of].get("/v1/kv/k?stale") }) // a follower learns of it later
						c.measure(b, func(int) error {
							_, _, err := asked[of].KV().Get("k", &mode.options)
							return err
						})
					})
				}
			}
		})
	}
}
