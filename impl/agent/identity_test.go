package agent_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
)

func TestTheAdvertisedAddressIsTheOneOthersReach(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		for _, c := range []struct{ bind, advertise, want string }{
			{"0.0.0.0", "", "10.0.0.1"}, {"10.0.0.1", "", "10.0.0.1"}, {"0.0.0.0", "192.0.2.7", "192.0.2.7"},
		} {
			a := m.start(func(o *config.Config) { o.BindAddr, o.AdvertiseAddr = c.bind, c.advertise })
			if got := a.Advertise(); got != c.want {
				w.Errorf("bound to %s, advertise %q: %s", c.bind, c.advertise, got)
			}
			w.close(a)
		}
		for _, c := range []struct{ bind, has, want string }{ // want is an address or contained in the error
			{"0.0.0.0", "", "no IPv4 address that others could reach: give -bind or -advertise"},
			{"0.0.0.0", "2001:db8::1", "no IPv4 address"},
			{"0.0.0.0", "192.0.2.1 10.0.0.1 2001:db8::1", "10.0.0.1"},
			{"0.0.0.0", "192.0.2.1 2001:db8::1", "192.0.2.1"},
			{"0.0.0.0", "192.0.2.1 10.0.0.1 172.17.0.1", "several IPv4 addresses, [10.0.0.1 172.17.0.1]: choose one with -bind or -advertise"},
			{"0.0.0.0", "192.0.2.1 192.0.2.2", "several IPv4 addresses, [192.0.2.1 192.0.2.2]"},
			{"172.17.0.1", "10.0.0.1 172.17.0.1", "172.17.0.1"},
			{"::", "10.0.0.1", "no IPv6 address that others could reach"},
			{"::", "10.0.0.1 fd00::1 2001:db8::1", "2001:db8::1"},
			{"::", "10.0.0.1 fd00::1", "fd00::1"},
			{"::", "2001:db8::1 2001:db8::2 10.0.0.1", "several IPv6 addresses, [2001:db8::1 2001:db8::2]"},
		} {
			conf := m.config(func(o *config.Config) { o.BindAddr = c.bind })
			a, err := agent.New(w.Context(), conf, moved{m, c.has}, slog.New(slog.DiscardHandler))
			got := fmt.Sprint(err)
			if err == nil {
				got = a.Advertise()
				w.close(a)
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				w.Errorf("bound to %s on a machine with %q: %s; want %s", c.bind, c.has, got, c.want)
			}
		}
		m.idle()
	})
}

// moved is a machine that says it has other addresses.
type moved struct {
	machine
	has string
}

func (m moved) Network() host.Network { return otherAddrs{m.machine.Network(), m.has} }

type otherAddrs struct {
	host.Network
	has string
}

func (o otherAddrs) Addrs() (addrs []netip.Addr, err error) {
	for _, text := range strings.Fields(o.has) {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}
