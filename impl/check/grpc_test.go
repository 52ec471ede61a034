package check_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"tribune/impl/api"
)

// serveGRPC serves the health of a whole server, which is well, and of a service
// "ill", which is not.
func (w *world) serveGRPC(address string, options ...grpc.ServerOption) {
	w.Helper()
	l, s, h := w.listen(address), grpc.NewServer(options...), health.NewServer()
	h.SetServingStatus("ill", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	grpc_health_v1.RegisterHealthServer(s, h)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	w.Cleanup(func() {
		s.Stop()
		<-done
	})
}

func TestTheStatusThatAGRPCServerGivesIsThatOfTheCheck(t *testing.T) {
	inWorld(t, func(w *world) {
		const at = "10.0.0.2:1000"
		r := w.first(api.CheckDefinition{GRPC: at})
		if r.status != api.HealthCritical || !strings.HasPrefix(r.output, "rpc error: code = Unavailable") || !strings.Contains(r.output, "connection refused") {
			t.Errorf("nobody is there: %+v", r)
		}
		w.serveGRPC(":1000")
		w.want(w.first(api.CheckDefinition{GRPC: at}), api.HealthPassing, "gRPC check 10.0.0.2:1000: success")
		w.want(w.first(api.CheckDefinition{GRPC: at + "/"}), api.HealthPassing, "gRPC check 10.0.0.2:1000/: success")
		w.want(w.first(api.CheckDefinition{GRPC: at + "/ill"}), api.HealthCritical, "gRPC 10.0.0.2:1000/ill serving status: NOT_SERVING")
		w.serve(":2000", nil)
		r = w.first(api.CheckDefinition{GRPC: "10.0.0.2:2000"})
		if r.status != api.HealthCritical || !strings.HasPrefix(r.output, "rpc error: ") {
			t.Errorf("it does not speak gRPC: %+v", r)
		}
		w.want(w.first(api.CheckDefinition{GRPC: at + "/other"}), api.HealthCritical, "rpc error: code = NotFound desc = unknown service")
	})
}

func TestAGRPCServerThatComesBackPassesAtTheNextLook(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.start(api.CheckDefinition{GRPC: "10.0.0.2:1000", Interval: 10 * time.Second})
		for range 10 { // long enough for a client that waits longer from time to time
			if r := <-w.heard; r.status != api.HealthCritical {
				t.Errorf("%+v", r)
			}
		}
		w.serveGRPC(":1000")
		w.want(<-w.heard, api.HealthPassing, "gRPC check 10.0.0.2:1000: success")
		w.promptly(k)
	})
}

func TestWhoDoesNotAnswerGRPCInTimeIsCritical(t *testing.T) {
	for what, prepare := range map[string]func(*world){
		"who does not speak":    func(w *world) { w.accept(":1000") },
		"who cannot be dialled": func(w *world) { w.net.Cut(there); w.Cleanup(func() { w.net.Mend(there) }) },
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				prepare(w)
				k := w.start(api.CheckDefinition{GRPC: "10.0.0.2:1000", Interval: time.Second, Timeout: 5 * time.Second})
				last := <-w.heard
				if last.status != api.HealthCritical || !strings.HasPrefix(last.output, "rpc error: ") {
					t.Errorf("%+v", last)
				}
				if next := <-w.heard; next.at-last.at > 6*time.Second {
					t.Errorf("the next look ended after %v", next.at-last.at)
				}
				time.Sleep(2 * time.Second)
				w.promptly(k)
			})
		})
	}
}

func TestGRPCOverTLSTrustsWhomItIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		certificate, pool := w.certificate()
		w.serveGRPC(":1000", grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})))
		d := api.CheckDefinition{GRPC: "10.0.0.2:1000", GRPCUseTLS: true}
		if r := w.first(d); r.status != api.HealthCritical || !strings.Contains(r.output, "certificate") {
			t.Errorf("nobody vouches for it: %+v", r)
		}
		w.config.TLS = &tls.Config{RootCAs: pool}
		w.want(w.first(d), api.HealthPassing, "gRPC check 10.0.0.2:1000: success")
		d.TLSServerName = "other.test"
		if r := w.first(d); r.status != api.HealthCritical || !strings.Contains(r.output, "other.test") {
			t.Errorf("another name: %+v", r)
		}
		d.TLSSkipVerify = true
		w.want(w.first(d), api.HealthPassing, "gRPC check 10.0.0.2:1000: success")
	})
}
