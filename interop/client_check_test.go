//go:build interop

package interop

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// checks is the story of a check that is told how it is.
func checks(t *testing.T, c cluster) {
	own := c.client.Agent()
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{Name: "told"}))
	ok(t, own.CheckRegister(&api.AgentCheckRegistration{ID: "told-up", Name: "up", ServiceID: "told", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h"}}))
	for _, step := range []struct {
		tell func(check, note string) error
		want string
	}{{own.PassTTL, api.HealthPassing}, {own.WarnTTL, api.HealthWarning}, {own.FailTTL, api.HealthCritical}} {
		ok(t, step.tell("told-up", "because"))
		c.seen(t, "told", step.want)
		if all, err := own.ChecksWithFilter(`CheckID == "told-up"`); err != nil || len(all) != 1 || all["told-up"].Output != "because" {
			t.Errorf("checks: %+v, %v", all, err)
		}
	}
	ok(t, own.UpdateTTL("told-up", "fine", api.HealthPassing))
	c.seen(t, "told", api.HealthPassing)
	ok(t, own.CheckDeregister("told-up"))
	if all, err := own.Checks(); err != nil || all["told-up"] != nil {
		t.Errorf("after it was deregistered: %+v, %v", all, err)
	}
	ok(t, own.ServiceDeregister("told"))
}

// listen listens on a port of loopback until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// probes is the story of checks that look for themselves: each finds what it is to
// look at in health, then not, and then again.
func probes(t *testing.T, c cluster) {
	var sick atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer web.Close()
	h2 := httptest.NewUnstartedServer(http.NotFoundHandler())
	h2.EnableHTTP2 = true
	h2.StartTLS()
	defer h2.Close()
	doctor, rpc := grpchealth.NewServer(), grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(rpc, doctor)
	l, plain := listen(t), listen(t)
	go func() { _ = rpc.Serve(l) }() // until it is stopped
	defer rpc.Stop()
	ill := filepath.Join(t.TempDir(), "ill")
	own := c.client.Agent()
	for name, check := range map[string]*api.AgentServiceCheck{
		"http":   {HTTP: web.URL},
		"script": {Args: []string{"sh", "-c", "! test -e " + ill + " || exit 2"}},
		"grpc":   {GRPC: l.Addr().String()},
		"tcp":    {TCP: plain.Addr().String()},
		"h2ping": {H2PING: h2.Listener.Addr().String(), TLSSkipVerify: true},
	} {
		check.Interval, check.Timeout = "200ms", "5s"
		ok(t, own.ServiceRegister(&api.AgentServiceRegistration{Name: "by-" + name, Check: check}))
		c.seen(t, "by-"+name, api.HealthPassing)
	}
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{Name: "by-alias", Check: &api.AgentServiceCheck{AliasService: "by-http"}}))
	c.seen(t, "by-alias", api.HealthPassing)

	sick.Store(true)
	doctor.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	ok(t, os.WriteFile(ill, nil, 0o600))
	ok(t, plain.Close())
	h2.CloseClientConnections()
	ok(t, h2.Listener.Close())
	all := []string{"http", "script", "grpc", "tcp", "h2ping", "alias"}
	for _, name := range all {
		c.seen(t, "by-"+name, api.HealthCritical)
	}
	sick.Store(false)
	doctor.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	ok(t, os.Remove(ill))
	for _, name := range []string{"http", "script", "grpc", "alias"} {
		c.seen(t, "by-"+name, api.HealthPassing)
	}
	for _, name := range all {
		ok(t, own.ServiceDeregister("by-"+name))
	}
}

// maintenance is the story of what is taken out of service for a while.
func maintenance(t *testing.T, c cluster) {
	own := c.client.Agent()
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{Name: "kept", Port: 1}))
	c.seen(t, "kept", api.HealthPassing)
	for _, step := range []struct {
		begin, end func() error
	}{
		{func() error { return own.EnableServiceMaintenance("kept", "upgrade") }, func() error { return own.DisableServiceMaintenance("kept") }},
		{func() error { return own.EnableNodeMaintenance("upgrade") }, own.DisableNodeMaintenance},
	} {
		ok(t, step.begin())
		c.seen(t, "kept", api.HealthMaint)
		if found, _, err := c.client.Health().Service("kept", "", true, nil); err != nil || len(found) != 0 {
			t.Errorf("in maintenance and still among the healthy: %+v, %v", found, err)
		}
		ok(t, step.end())
		c.seen(t, "kept", api.HealthPassing)
	}
	ok(t, own.ServiceDeregister("kept"))
	if all, err := own.Checks(); err != nil || len(all) != 0 {
		t.Errorf("left over: %s, %v", fmt.Sprint(all), err)
	}
}
