package check_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"tribune/impl/api"
)

func TestWhoTakesAConnectionPassesTCP(t *testing.T) {
	inWorld(t, func(w *world) {
		const at = "10.0.0.2:1000"
		w.want(w.first(api.CheckDefinition{TCP: at}), api.HealthCritical, "dial tcp 10.0.0.2:1000: connection refused")
		w.accept(":1000")
		w.want(w.first(api.CheckDefinition{TCP: at}), api.HealthPassing, "TCP connect 10.0.0.2:1000: Success")
		if r := w.first(api.CheckDefinition{TCP: "nonsense"}); r.status != api.HealthCritical || r.output == "" {
			t.Errorf("an address that is none: %+v", r)
		}
	})
}

func TestWhoCannotBeReachedInTimeFailsTCP(t *testing.T) {
	inWorld(t, func(w *world) {
		w.accept(":1000")
		w.net.Cut(there)
		defer w.net.Mend(there)
		k := w.start(api.CheckDefinition{TCP: "10.0.0.2:1000", Interval: time.Second, Timeout: 5 * time.Second})
		last := <-w.heard
		w.want(last, api.HealthCritical, "dial tcp 10.0.0.2:1000: context deadline exceeded")
		if next := <-w.heard; next.at-last.at != 6*time.Second {
			t.Errorf("the next look ended after %v", next.at-last.at)
		}
		time.Sleep(2 * time.Second)
		w.promptly(k)
	})
}

func TestTCPOverTLSTrustsWhomItIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		certificate, pool := w.certificate()
		w.serve(":443", nil, certificate)
		w.accept(":1000")
		d := api.CheckDefinition{TCP: "10.0.0.2:443", TCPUseTLS: true}
		if r := w.first(d); r.status != api.HealthCritical || !strings.Contains(r.output, "certificate") {
			t.Errorf("nobody vouches for it: %+v", r)
		}
		w.config.TLS = &tls.Config{RootCAs: pool}
		w.want(w.first(d), api.HealthPassing, "TCP+TLS connect 10.0.0.2:443: Success")
		d.TLSServerName = "other.test"
		if r := w.first(d); r.status != api.HealthCritical || !strings.Contains(r.output, "other.test") {
			t.Errorf("another name: %+v", r)
		}
		d.TLSSkipVerify = true
		w.want(w.first(d), api.HealthPassing, "TCP+TLS connect 10.0.0.2:443: Success")
		k := w.start(api.CheckDefinition{TCP: "10.0.0.2:1000", TCPUseTLS: true, Interval: time.Second, Timeout: 3 * time.Second})
		w.want(<-w.heard, api.HealthCritical, "context deadline exceeded") // it does not speak
		time.Sleep(2 * time.Second)
		w.promptly(k)
	})
}

func TestWhoAnswersAPingPassesH2PING(t *testing.T) {
	inWorld(t, func(w *world) {
		const at = "10.0.0.2:1000"
		plain := false
		d := api.CheckDefinition{H2PING: at, H2PingUseTLS: &plain}
		w.want(w.first(d), api.HealthCritical, "Failed to dial to 10.0.0.2:1000: dial tcp 10.0.0.2:1000: connection refused")
		w.serve(":1000", nil)
		w.want(w.first(d), api.HealthPassing, "HTTP2 ping was successful")
		if r := w.first(api.CheckDefinition{H2PING: at}); r.status != api.HealthCritical || !strings.HasPrefix(r.output, "Failed to dial to 10.0.0.2:1000: tls: ") {
			t.Errorf("without TLS there: %+v", r)
		}
	})
}

func TestH2PINGIsOverTLSUnlessToldOtherwise(t *testing.T) {
	inWorld(t, func(w *world) {
		certificate, pool := w.certificate()
		w.serve(":443", nil, certificate)
		w.config.TLS = &tls.Config{RootCAs: pool}
		d := api.CheckDefinition{H2PING: "10.0.0.2:443"}
		w.want(w.first(d), api.HealthPassing, "HTTP2 ping was successful")
		d.TLSServerName = "other.test"
		if r := w.first(d); r.status != api.HealthCritical || !strings.Contains(r.output, "other.test") {
			t.Errorf("another name: %+v", r)
		}
		yes := true
		d.TLSSkipVerify, d.H2PingUseTLS = true, &yes
		w.want(w.first(d), api.HealthPassing, "HTTP2 ping was successful")
	})
}

func TestWhoDoesNotAnswerAPingFailsH2PING(t *testing.T) {
	inWorld(t, func(w *world) {
		plain := false
		w.accept(":1000")
		k := w.start(api.CheckDefinition{H2PING: "10.0.0.2:1000", H2PingUseTLS: &plain, Interval: time.Second, Timeout: 5 * time.Second})
		last := <-w.heard
		w.want(last, api.HealthCritical, "HTTP2 ping failed: read tcp 10.0.0.2:1000: i/o timeout")
		if next := <-w.heard; next.at-last.at != 6*time.Second {
			t.Errorf("the next look ended after %v", next.at-last.at)
		}
		time.Sleep(2 * time.Second)
		w.promptly(k)
	})
}

// A server may say other things first, and it may never come to the answer.
func TestOnlyTheAnswerToThePingCounts(t *testing.T) {
	inWorld(t, func(w *world) {
		plain := false
		l := w.listen(":1000")
		defer l.Close()
		says := make(chan func(*http2.Framer) error, 1)
		const asked = 24 + 9 + 17 // bytes of preface, settings and ping
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, err = io.ReadFull(conn, make([]byte, asked))
				if err := errors.Join(err, (<-says)(http2.NewFramer(conn, conn))); err != nil {
					w.Error(err)
				}
				_ = conn.Close()
			}
		}()
		data := [8]byte([]byte("tribune?"))
		d := api.CheckDefinition{H2PING: "10.0.0.2:1000", H2PingUseTLS: &plain}
		for what, c := range map[string]struct {
			say          func(*http2.Framer) error
			status, text string
		}{
			"nothing":        {func(*http2.Framer) error { return nil }, api.HealthCritical, "HTTP2 ping failed: EOF"},
			"another ping":   {func(f *http2.Framer) error { return f.WritePing(true, [8]byte{}) }, api.HealthCritical, "HTTP2 ping failed: EOF"},
			"a ping back":    {func(f *http2.Framer) error { return f.WritePing(false, data) }, api.HealthCritical, "HTTP2 ping failed: EOF"},
			"too long frame": {func(f *http2.Framer) error { return f.WriteRawFrame(200, 0, 0, make([]byte, 1<<14+1)) }, api.HealthCritical, "HTTP2 ping failed: http2: frame too large"},
			"much, then the answer": {func(f *http2.Framer) error {
				err := errors.Join(f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 3}), f.WriteSettingsAck(),
					f.WriteRawFrame(200, 0, 0, []byte("of a kind that nobody knows")), f.WriteGoAway(0, http2.ErrCodeNo, nil), f.WritePing(true, data))
				if frame, readErr := f.ReadFrame(); readErr != nil || !frame.(*http2.SettingsFrame).IsAck() {
					w.Errorf("the settings were answered with %v, %v", frame, readErr)
				}
				return err
			}, api.HealthPassing, "HTTP2 ping was successful"},
		} {
			says <- c.say
			if r := w.first(d); r.status != c.status || !strings.HasPrefix(r.output, c.text) {
				t.Errorf("%s: %+v", what, r)
			}
		}
	})
}

// What a client of HTTP/2 says first, a server of HTTP/1 takes for a request.
func TestAServerOfHTTP1FailsH2PING(t *testing.T) {
	inWorld(t, func(w *world) {
		plain := false
		l := w.listen(":1000")
		s := &http.Server{Handler: http.NotFoundHandler()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Serve(l)
		}()
		r := w.first(api.CheckDefinition{H2PING: "10.0.0.2:1000", H2PingUseTLS: &plain})
		if r.status != api.HealthCritical || !strings.HasPrefix(r.output, "HTTP2 ping failed: ") {
			t.Errorf("%+v", r)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
}
