package check

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
)

// What a kernel says about datagrams that nobody receives only a kernel knows.
func udpOn(t *testing.T, ctx context.Context, address string) finding {
	t.Helper()
	return Config{Network: host.Real().Network()}.udp(api.CheckDefinition{UDP: address})(ctx)
}

func TestADatagramThatIsAnsweredOrNotPassesAndOneThatIsRefusedFails(t *testing.T) {
	p, err := host.Real().Network().ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := p.LocalAddr().String()
	success := finding{api.HealthPassing, "UDP connect " + address + ": Success"}

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if f := udpOn(t, short, address); f != success {
		t.Errorf("nobody answered: %+v", f)
	}
	from := make(chan net.Addr, 2)
	go func() {
		defer close(from)
		for {
			n, peer, err := p.ReadFrom(make([]byte, 10))
			if err != nil {
				return
			}
			if n != 0 {
				t.Errorf("%d bytes came", n)
			}
			from <- peer
			_, _ = p.WriteTo([]byte("yes, and more than one byte"), peer)
		}
	}()
	began := time.Now()
	long, cancelLong := context.WithTimeout(t.Context(), time.Minute)
	defer cancelLong()
	if f := udpOn(t, long, address); f != success || time.Since(began) > 30*time.Second {
		t.Errorf("answered: %+v after %v", f, time.Since(began))
	}
	if <-from; <-from == nil {
		t.Error("nothing was sent the second time")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	<-from
	began = time.Now()
	if f := udpOn(t, long, address); f.status != api.HealthCritical || time.Since(began) > 30*time.Second {
		t.Errorf("refused: %+v after %v", f, time.Since(began))
	}
	if f := udpOn(t, long, "127.0.0.1:none"); f.status != api.HealthCritical {
		t.Errorf("an address that is none: %+v", f)
	}
}

func TestAUDPCheckStopsWhileItWaitsForAnAnswer(t *testing.T) {
	p, err := host.Real().Network().ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan finding)
	go func() { done <- udpOn(t, ctx, p.LocalAddr().String()) }()
	if _, _, err := p.ReadFrom(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	cancel(errors.New("stopped"))
	<-done // or the test hangs
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
