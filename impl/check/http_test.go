package check_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/api"
)

const url = "http://10.0.0.2:80/health"

func TestTheStatusOfAnHTTPAnswerIsThatOfTheCheck(t *testing.T) {
	inWorld(t, func(w *world) {
		code := 0
		w.serve(":80", func(a http.ResponseWriter, r *http.Request) {
			a.WriteHeader(code)
			_, _ = io.WriteString(a, "I am "+r.URL.Path)
		})
		for _, c := range []struct {
			code   int
			status string
			line   string
		}{
			{200, api.HealthPassing, "200 OK"}, {201, api.HealthPassing, "201 Created"}, {299, api.HealthPassing, "299 "},
			{429, api.HealthWarning, "429 Too Many Requests"}, {300, api.HealthCritical, "300 Multiple Choices"},
			{404, api.HealthCritical, "404 Not Found"}, {503, api.HealthCritical, "503 Service Unavailable"},
		} {
			code = c.code
			r := w.first(api.CheckDefinition{HTTP: url})
			if want := "HTTP GET " + url + ": " + strings.TrimSpace(c.line); c.code == 299 {
				if r.status != c.status || !strings.HasPrefix(r.output, want) || !strings.HasSuffix(r.output, " Output: I am /health") {
					t.Errorf("%+v", r)
				}
				continue
			}
			w.want(r, c.status, "HTTP GET "+url+": "+c.line+" Output: I am /health")
		}
	})
}

func TestAnHTTPRequestIsWhatTheDefinitionSays(t *testing.T) {
	inWorld(t, func(w *world) {
		var seen *http.Request
		var body []byte
		w.serve(":80", func(_ http.ResponseWriter, r *http.Request) {
			seen = r
			body, _ = io.ReadAll(r.Body)
		})
		w.first(api.CheckDefinition{HTTP: url})
		synctest.Wait()
		h := seen.Header
		if seen.Method != "GET" || seen.Host != "10.0.0.2:80" || h.Get("User-Agent") != "Consul Health Check" || h.Get("Accept") != "text/plain, text/*, */*" || h.Get("Connection") != "close" || len(body) > 0 {
			t.Errorf("by default: %s %s %v %q", seen.Method, seen.Host, h, body)
		}
		r := w.first(api.CheckDefinition{HTTP: url, Method: "POST", Body: "are you well?", Header: map[string][]string{
			"Host": {"web.test"}, "X-Of": {"a", "b"}, "user-agent": {"me"},
		}})
		w.want(r, api.HealthPassing, "HTTP POST "+url+": 200 OK Output: ")
		h = seen.Header
		if seen.Method != "POST" || seen.Host != "web.test" || strings.Join(h["X-Of"], " ") != "a b" || len(h["User-Agent"]) != 1 || h.Get("User-Agent") != "me" || string(body) != "are you well?" {
			t.Errorf("%s %s %v %q", seen.Method, seen.Host, h, body)
		}
	})
}

func TestARedirectIsFollowedUnlessItIsTheAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(":80", func(a http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" {
				http.Redirect(a, r, "/well", http.StatusFound)
			}
		})
		w.want(w.first(api.CheckDefinition{HTTP: url}), api.HealthPassing, "HTTP GET "+url+": 200 OK Output: ")
		w.want(w.first(api.CheckDefinition{HTTP: url, DisableRedirects: true}), api.HealthCritical,
			"HTTP GET "+url+": 302 Found Output: <a href=\"/well\">Found</a>.\n\n")
	})
}

func TestTheEndOfALongHTTPAnswerIsKept(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(":80", func(a http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(a, strings.Repeat("x", 100_000)+strings.Repeat("y", 4000))
		})
		const head = "HTTP GET " + url + ": 200 OK Output: "
		w.want(w.first(api.CheckDefinition{HTTP: url}), api.HealthPassing, head+strings.Repeat("x", 96)+strings.Repeat("y", 4000))
		w.want(w.first(api.CheckDefinition{HTTP: url, OutputMaxSize: 10}), api.HealthPassing, head+strings.Repeat("y", 10))
		w.config.OutputMaxSize = 5
		w.want(w.first(api.CheckDefinition{HTTP: url, OutputMaxSize: 10}), api.HealthPassing, head+strings.Repeat("y", 5))
	})
}

func TestWhoDoesNotAnswerHTTPInTimeIsCritical(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(":80", func(a http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		const text = `Get "` + url + `": context deadline exceeded`
		for _, timeout := range []time.Duration{0, 3 * time.Second} {
			k := w.start(api.CheckDefinition{HTTP: url, Interval: time.Second, Timeout: timeout})
			w.want(<-w.heard, api.HealthCritical, text)
			before := time.Now()
			w.want(<-w.heard, api.HealthCritical, text)
			want := time.Second + timeout
			if timeout == 0 {
				want = 11 * time.Second
			}
			if took := time.Since(before); took != want {
				w.Errorf("with timeout %v the next look ended after %v", timeout, took)
			}
			w.promptly(k)
		}
	})
}

func TestAnAnswerThatNeverEndsIsCutOff(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(":80", func(a http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(a, strings.Repeat("z", 1000))
				_ = http.NewResponseController(a).Flush()
				select {
				case <-time.After(100 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
		})
		r := w.first(api.CheckDefinition{HTTP: url, Timeout: 20 * time.Second})
		w.want(r, api.HealthPassing, "HTTP GET "+url+": 200 OK Output: "+strings.Repeat("z", 4096))
	})
}

func TestWhoIsNotThereIsCriticalForHTTP(t *testing.T) {
	inWorld(t, func(w *world) {
		w.want(w.first(api.CheckDefinition{HTTP: url}), api.HealthCritical, `Get "`+url+`": dial tcp 10.0.0.2:80: connection refused`)
		w.want(w.first(api.CheckDefinition{HTTP: "http://%"}), api.HealthCritical, `parse "http://%": invalid URL escape "%"`)
		w.net.Cut(there)
		w.want(w.first(api.CheckDefinition{HTTP: url}), api.HealthCritical,
			`Get "`+url+`": context deadline exceeded`)
		w.net.Mend(there)
	})
}

func TestHTTPOverTLSTrustsWhomItIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		certificate, pool := w.certificate()
		protocol := ""
		w.serve(":443", func(_ http.ResponseWriter, r *http.Request) { protocol = r.Proto }, certificate)
		const url = "https://10.0.0.2:443/"
		ok := "HTTP GET " + url + ": 200 OK Output: "
		if r := w.first(api.CheckDefinition{HTTP: url}); r.status != api.HealthCritical || !strings.Contains(r.output, "certificate") {
			t.Errorf("nobody vouches for it: %+v", r)
		}
		w.want(w.first(api.CheckDefinition{HTTP: url, TLSSkipVerify: true}), api.HealthPassing, ok)
		w.config.TLS = &tls.Config{RootCAs: pool}
		w.want(w.first(api.CheckDefinition{HTTP: url}), api.HealthPassing, ok)
		w.want(w.first(api.CheckDefinition{HTTP: url, TLSServerName: "web.test"}), api.HealthPassing, ok)
		if protocol != "HTTP/2.0" {
			t.Errorf("it spoke %s", protocol)
		}
		if r := w.first(api.CheckDefinition{HTTP: url, TLSServerName: "other.test"}); r.status != api.HealthCritical || !strings.Contains(r.output, "other.test") {
			t.Errorf("another name: %+v", r)
		}
		if w.config.TLS.ServerName != "" || w.config.TLS.InsecureSkipVerify {
			t.Error("one check changed what others begin with")
		}
	})
}

func TestAnHTTPCheckStopsInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		what, url string
		prepare   func(*world)
	}{
		{"of waiting for an answer", url, func(w *world) {
			w.serve(":80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}},
		{"of an answer", url, func(w *world) {
			w.serve(":80", func(a http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(a).Flush()
				<-r.Context().Done()
			})
		}},
		{"of a handshake", "https://10.0.0.2:80/", func(w *world) { w.accept(":80") }},
		{"of dialling", url, func(w *world) {
			w.net.Cut(there)
			w.Cleanup(func() { w.net.Mend(there) })
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c.prepare(w)
				k := w.start(api.CheckDefinition{HTTP: c.url, Interval: time.Second, Timeout: time.Hour})
				time.Sleep(2 * time.Second)
				w.promptly(k)
			})
		})
	}
}

func TestWhoDoesNotEndAHandshakeInTimeIsCritical(t *testing.T) {
	inWorld(t, func(w *world) {
		w.accept(":443")
		w.want(w.first(api.CheckDefinition{HTTP: "https://10.0.0.2:443/"}), api.HealthCritical, `Get "https://10.0.0.2:443/": context deadline exceeded`)
	})
}
