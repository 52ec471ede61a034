package dns_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"tribune/impl/api"
	"tribune/impl/dns"
	"tribune/impl/fault"
	"tribune/impl/metrics"
)

// crowd is a service with n passing instances.
func crowd(n int) *fake {
	f := &fake{}
	for i := range n {
		node := api.Node{Node: "n" + string(rune('a'+i)), Address: "10.1.0." + string(rune('1'+i))}
		f.nodes = append(f.nodes, node)
		f.instances = append(f.instances, instance(node, api.NodeService{Service: "web", Port: 80, Weights: weights}, api.HealthPassing))
	}
	return f
}

func TestSettingsDecideHowIsAnswered(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*dns.Settings)
		ask   string
		qtype uint16
		check func(*miekg.Msg) bool
	}{
		{"three records by default", func(*dns.Settings) {}, "web.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return len(m.Answer) == 3 && !m.Truncated }},
		{"udp_answer_limit with enable_truncate", func(s *dns.Settings) { s.UDPAnswerLimit, s.EnableTruncate = 2, true }, "web.service.consul", miekg.TypeSRV,
			func(m *miekg.Msg) bool { return len(m.Answer) == 2 && len(m.Extra) == 2 && m.Truncated }},
		{"udp_answer_limit that is not reached", func(s *dns.Settings) { s.UDPAnswerLimit, s.EnableTruncate = 5, true }, "web.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return len(m.Answer) == 5 && !m.Truncated }},
		{"no udp_answer_limit", func(s *dns.Settings) { s.UDPAnswerLimit = 0 }, "web.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return len(m.Answer) == 5 }},
		{"a_record_limit is no truncation", func(s *dns.Settings) { s.ARecordLimit, s.EnableTruncate = 2, true }, "web.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return len(m.Answer) == 2 && !m.Truncated }},
		{"a_record_limit is not for SRV", func(s *dns.Settings) { s.ARecordLimit, s.UDPAnswerLimit = 2, 0 }, "web.service.consul", miekg.TypeSRV,
			func(m *miekg.Msg) bool { return len(m.Answer) == 5 }},
		{"service_ttl of the name", func(s *dns.Settings) { s.ServiceTTL = ttls("*", 1, "w*", 2, "Web", 3, "we*", 4) }, "web.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return m.Answer[0].Header().Ttl == 3 }},
		{"service_ttl of the longest prefix", func(s *dns.Settings) { s.ServiceTTL = ttls("*", 1, "w*", 2, "WE*", 4, "webs*", 5) }, "web.service.consul", miekg.TypeSRV,
			func(m *miekg.Msg) bool { return m.Answer[0].Header().Ttl == 4 && m.Extra[0].Header().Ttl == 4 }},
		{"service_ttl of all", func(s *dns.Settings) { s.ServiceTTL = ttls("*", 1, "x*", 2) }, "web.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return m.Answer[0].Header().Ttl == 1 }},
		{"node_ttl in whole seconds", func(s *dns.Settings) { s.NodeTTL = 1900 * time.Millisecond }, "na.node.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return m.Answer[0].Header().Ttl == 1 }},
		{"node_ttl as long as a record can say", func(s *dns.Settings) { s.NodeTTL = 200 * 365 * 24 * time.Hour }, "na.node.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return m.Answer[0].Header().Ttl == 1<<31-1 }},
		{"the SOA's numbers", func(s *dns.Settings) { s.SOA = dns.SOA{Refresh: 1, Retry: 2, Expire: 3, MinTTL: 4} }, "x.service.consul", miekg.TypeA,
			func(m *miekg.Msg) bool { return text(m.Ns) == "consul. 4 SOA ns.consul. hostmaster.consul. 1 1 2 3 4" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, crowd(5), func(d *dns.Config) { c.set(&d.Settings) }, func(w *world) {
				if m := w.ask(c.ask, c.qtype); !c.check(m) {
					t.Error(m)
				}
			})
		})
	}
}

func ttls(pairs ...any) map[string]time.Duration {
	m := map[string]time.Duration{}
	for p := range slices.Chunk(pairs, 2) {
		m[p[0].(string)] = time.Duration(p[1].(int)) * time.Second
	}
	return m
}

func TestOnlyPassingLeavesOutWarnings(t *testing.T) {
	for only, want := range map[bool]string{
		false: "web.service.consul. 0 A 10.0.0.1\nweb.service.consul. 0 A 10.1.0.2", true: "web.service.consul. 0 A 10.0.0.1",
	} {
		inWorld(t, town(), func(c *dns.Config) { c.Settings.OnlyPassing = only }, func(w *world) {
			if got := text(w.ask("web.service.consul", miekg.TypeA).Answer); got != want {
				t.Errorf("only_passing %v: %s", only, got)
			}
		})
	}
}

func TestMetadataIsToldUnasked(t *testing.T) {
	for on, want := range map[bool]int{true: 2, false: 0} {
		inWorld(t, town(), func(c *dns.Config) { c.Settings.NodeMetaTXT = on }, func(w *world) {
			if m := w.ask("n1.node.consul", miekg.TypeA); len(m.Extra) != want {
				t.Errorf("node_meta_txt %v: %v", on, m)
			}
			if m := w.ask("n1.node.consul", miekg.TypeTXT); len(m.Answer) != 2 {
				t.Errorf("node_meta_txt %v, asked: %v", on, m)
			}
		})
	}
}

func TestMetadataIsWrittenInTheFormOfRFC1464(t *testing.T) {
	for key, c := range map[string]struct{ value, want string }{
		"color":        {"blue", "color=blue"},
		"equation":     {"a=4", "equation=a=4"},
		"a=a":          {"true", "a`=a=true"},
		`a\=a`:         {"false", "a\\`=a=false"},
		"=":            {`\=`, "`==\\="},
		"string":       {`"Cat"`, `string="Cat"`},
		"string2":      {"`abc`", "string2=``abc``"},
		"novalue":      {"", "novalue="},
		"a b":          {"c d", "a b=c d"},
		"abc ":         {"123 ", "abc` =123 "},
		"\tx":          {"y", "`\tx=y"},
		" ":            {"y", "` =y"},
		"rfc1035-any":  {"a=`b`", "a=`b`"},
		"RFC1035-case": {"kept", "kept"},
		"rfc1035-none": {"", ""},
	} {
		catalog := &fake{nodes: []api.Node{{Node: "n", Address: "10.0.0.1", Meta: map[string]string{key: c.value}}}}
		inWorld(t, catalog, nil, func(w *world) {
			m := w.ask("n.node.consul", miekg.TypeTXT)
			got := strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\009`, "\t").Replace(strings.Join(m.Answer[0].(*miekg.TXT).Txt, ""))
			if got != c.want {
				t.Errorf("%q: %q is %q and not %q", key, c.value, got, c.want)
			}
		})
	}
}

func TestSeveralTagsAreAnOption(t *testing.T) {
	inWorld(t, town(), func(c *dns.Config) { c.Settings.SeveralTags = true }, func(w *world) {
		for name, want := range map[string]string{
			"fast.blue.web.service.consul": "10.1.0.2",
			"BLUE.fast.web.service.consul": "10.1.0.2",
			"fast.web.service.consul":      "10.1.0.2",
			"v1.2.web.service.consul":      "",
		} {
			m := w.ask(name, miekg.TypeA)
			if want == "" && m.Rcode == miekg.RcodeNameError {
				continue
			}
			if len(m.Answer) != 1 || m.Answer[0].(*miekg.A).A.String() != want {
				t.Errorf("%s: %v", name, m)
			}
		}
	})
}

func TestSettingsAreReplacedWhileTheServerRuns(t *testing.T) {
	inWorld(t, crowd(5), nil, func(w *world) {
		s := dns.DefaultSettings()
		s.UDPAnswerLimit = 1
		if err := w.server.Apply(s); err != nil {
			t.Fatal(err)
		}
		if m := w.ask("web.service.consul", miekg.TypeA); len(m.Answer) != 1 {
			t.Errorf("after Apply: %v", m)
		}
		s.UDPAnswerLimit = -1
		if err := w.server.Apply(s); err == nil {
			t.Error("a negative limit was taken")
		}
		if m := w.ask("web.service.consul", miekg.TypeA); len(m.Answer) != 1 {
			t.Errorf("after a refused Apply: %v", m)
		}
	})
}

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	inWorld(t, crowd(1), nil, func(w *world) {
		for want, set := range map[string]func(*dns.Settings){
			"service_ttl":       func(s *dns.Settings) { s.ServiceTTL = ttls("web", -1) },
			"node_ttl":          func(s *dns.Settings) { s.NodeTTL = -1 },
			"udp_answer_limit":  func(s *dns.Settings) { s.UDPAnswerLimit = -1 },
			"a_record_limit":    func(s *dns.Settings) { s.ARecordLimit = -1 },
			"recursor_strategy": func(s *dns.Settings) { s.RecursorStrategy = "" },
			"recursor_timeout":  func(s *dns.Settings) { s.Recursors, s.RecursorTimeout = []string{"10.0.0.1"}, 0 },
			"neither an IP":     func(s *dns.Settings) { s.Recursors = []string{"dns.example.com"} },
			"itself":            func(s *dns.Settings) { s.Recursors = []string{"10.0.0.1", serverAddr.String()} },
			"this server":       func(s *dns.Settings) { s.Recursors = []string{"0.0.0.0:8600"} },
		} {
			s := dns.DefaultSettings()
			set(&s)
			if err := w.server.Apply(s); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
		s := dns.DefaultSettings()
		s.Recursors = []string{"10.0.0.1", "::1", "[::1]", "[fd00::1]:53", serverIP.String()}
		if err := w.server.Apply(s); err != nil {
			t.Errorf("all of these make sense: %v", err)
		}
	})
}

func TestEveryInstanceComesFirstNowAndThen(t *testing.T) {
	inWorld(t, crowd(4), nil, func(w *world) {
		first := map[string]bool{}
		for range 200 { // one of four is never first in one of 10^24 runs
			first[w.ask("web.service.consul", miekg.TypeA).Answer[0].(*miekg.A).A.String()] = true
		}
		if len(first) != 4 {
			t.Errorf("first were only %v", slices.Sorted(maps.Keys(first)))
		}
	})
}

func TestTheLeaderIsAskedAsTheSettingsSay(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name             string
		stale            bool
		maxStale, behind time.Duration
		want             []bool // AllowStale of each read
	}{
		{"consistent", false, hour, 2 * hour, []bool{false}},
		{"fresh enough", true, hour, hour, []bool{true}},
		{"too stale", true, hour, hour + 1, []bool{true, false}},
		{"not stale at all", true, 0, 1, []bool{true, false}},
	} {
		for _, name := range []string{"web.service.consul", "n1.node.consul", "1.0.0.10.in-addr.arpa", "best.query.consul"} {
			catalog := town()
			catalog.behind = c.behind
			figures := metrics.New()
			set := func(d *dns.Config) {
				d.Settings.AllowStale, d.Settings.MaxStale, d.Metrics = c.stale, c.maxStale, figures
				d.Execute = func(ctx context.Context, name string, client netip.Addr, o api.QueryOptions) (dns.Executed, error) {
					found, err := execute(ctx, name, client, o)
					if err == nil {
						found.QueryMeta, err = catalog.begin(ctx, o)
					}
					return found, err
				}
			}
			inWorld(t, catalog, set, func(w *world) {
				if m := w.ask(name, miekg.TypeANY); len(m.Answer) == 0 {
					t.Errorf("%s: %v", c.name, m)
				}
				var got []bool
				for _, o := range catalog.asked {
					got = append(got, o.AllowStale)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s, %s: stale reads %v", c.name, name, got)
				}
				var shown strings.Builder
				late := c.stale && c.behind > 5*time.Second
				if err := figures.WriteText(&shown); err != nil || strings.Contains(shown.String(), "consul_dns_stale_queries 1\n") != late {
					t.Errorf("%s, %s: %s, %v", c.name, name, shown.String(), err)
				}
			})
		}
	}
}

func TestTheKindOfAnErrorDecidesTheRcode(t *testing.T) {
	for _, c := range []struct {
		kind fault.Kind
		want int
	}{
		{fault.NoLeader, miekg.RcodeServerFailure},
		{fault.Internal, miekg.RcodeServerFailure},
		{fault.NotFound, miekg.RcodeNameError},
		{fault.Denied, miekg.RcodeRefused},
	} {
		catalog := town()
		catalog.err = fault.New(c.kind, "as the test says")
		inWorld(t, catalog, nil, func(w *world) {
			for _, name := range []string{"web.service.consul", "n1.node.consul", "consul"} {
				m := w.ask(name, miekg.TypeANY)
				if negative := c.want == miekg.RcodeNameError; m.Rcode != c.want || m.Authoritative != negative || (len(m.Ns) == 1) != negative {
					t.Errorf("%v, %s: %v", c.kind, name, m)
				}
			}
		})
	}
}

func TestAReverseLookupFailsWithTheCatalog(t *testing.T) {
	catalog := town()
	catalog.err = fault.New(fault.NoLeader, fault.TextNoLeader)
	inWorld(t, catalog, nil, func(w *world) {
		if m := w.ask("1.0.0.10.in-addr.arpa", miekg.TypePTR); m.Rcode != miekg.RcodeServerFailure {
			t.Error(m)
		}
	})
}

func TestOddNamesInTheCatalogDoNotSpoilAnAnswer(t *testing.T) {
	for _, odd := range []string{"a..b", ".", "..", " ", "x\\", "\\1", "\\300", "é", "\x00", "\"", strings.Repeat("l", 64), strings.Repeat("l.", 130), "10.0.0.1:80"} {
		bad := api.Node{Node: odd, Address: "10.0.0.1", Meta: map[string]string{odd: odd}}
		catalog := &fake{nodes: []api.Node{bad, {Node: "lost", Address: odd, Meta: bad.Meta}}, instances: []api.CheckServiceNode{
			instance(bad, api.NodeService{Service: "web", Port: 80, Weights: weights}, api.HealthPassing),
			instance(n1, api.NodeService{Service: "web", Port: 1 << 20, Address: odd, Weights: api.Weights{Passing: 1 << 20}}, api.HealthPassing),
			instance(bad, api.NodeService{Service: "consul", Port: 8300, Weights: weights}, api.HealthPassing),
			instance(n1, api.NodeService{Service: odd, Address: "10.0.0.9", Weights: weights}, api.HealthPassing),
		}}
		inWorld(t, catalog, nil, func(w *world) {
			m, _ := w.exchange(query("web.service.consul", miekg.TypeSRV), true)
			if len(m.Answer) == 0 {
				t.Errorf("%q: %v", odd, m)
			}
			for _, name := range []string{"lost.node.consul", "consul", "1.0.0.10.in-addr.arpa", "9.0.0.10.in-addr.arpa"} {
				w.ask(name, miekg.TypeANY)
			}
		})
	}
}

func TestTheInnermostDomainIsTheOneThatIsAskedFor(t *testing.T) {
	inWorld(t, town(), func(c *dns.Config) { c.AltDomain = "inner.consul" }, func(w *world) {
		if m := w.ask("db.service.inner.consul", miekg.TypeSRV); len(m.Answer) != 1 || m.Answer[0].(*miekg.SRV).Target != "n1.node.dc1.inner.consul." {
			t.Error(m)
		}
	})
}

func TestACatalogThatHangsIsNotWaitedFor(t *testing.T) {
	catalog := town()
	catalog.hang = true
	inWorld(t, catalog, nil, func(w *world) {
		begun := time.Now()
		if m := w.ask("web.service.consul", miekg.TypeA); m.Rcode != miekg.RcodeServerFailure || time.Since(begun) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), m)
		}
	})
}
