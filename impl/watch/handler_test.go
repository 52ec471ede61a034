package watch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/host"
	"tribune/impl/watch"
)

func TestAnHTTPHandlerIsAskedWithTheChange(t *testing.T) {
	inWorld(t, func(w *world) {
		var got []string
		status := 500
		stop := w.serve(w.net.Host("m2", netip.MustParseAddr("10.0.0.2"), nil), "10.0.0.2:80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = append(got, fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("X-Consul-Index"), " after ", r.Header.Get("X-Consul-Previous-Index"), " ", r.Header["X-Mine"], " ", len(b) > 0))
			rw.WriteHeader(status)
		}))
		defer stop()
		w.put("MQ==", 5)
		e := w.engine(w.parse(`
			type = "key"
			key = "a"
			handler_type = "http"
			http_handler_config {
				path = "http://10.0.0.2/hook"
				method = "PUT"
				timeout = "5s"
				header { x-mine = ["a", "b"] }
			}`))
		defer e.Close()
		synctest.Wait()
		w.put("Mg==", 6)
		synctest.Wait()
		want := []string{"PUT /hook 5 after 0 [a b] true", "PUT /hook 6 after 5 [a b] true"}
		if !slices.Equal(got, want) {
			w.Errorf("%q, want %q", got, want)
		}
	})
}

// behindProxy is a host whose environment names a proxy.
type behindProxy struct{ host.Host }

func (h behindProxy) Network() host.Network { return proxied{h.Host.Network()} }

type proxied struct{ host.Network }

func (proxied) Proxy(to *url.URL) (*url.URL, error) {
	return url.Parse("http://10.0.0.3:3128/?" + to.Host)
}

func TestAnHTTPHandlerIsAskedByTheProxyThatTheMachineHas(t *testing.T) {
	inWorld(t, func(w *world) {
		var got []string
		stop := w.serve(w.net.Host("m3", netip.MustParseAddr("10.0.0.3"), nil), "10.0.0.3:3128", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = append(got, r.URL.String())
		}))
		defer stop()
		w.Host = behindProxy{w.Host}
		e := w.engine(w.parse(`type = "key", key = "a", handler_type = "http", http_handler_config { path = "http://hooks.example/hook" }`))
		synctest.Wait()
		w.put("MQ==", 5)
		e.Close()
		if want := []string{"http://hooks.example/hook", "http://hooks.example/hook"}; !slices.Equal(got, want) { // and the agent itself not
			w.Errorf("it was asked for %q, want %q", got, want)
		}
	})
}

func TestEveryTypeAsksItsOwn(t *testing.T) {
	for settings, want := range map[string]string{
		`type = "key", key = "a/b", stale = true`:                                 "/v1/kv/a/b?stale= ",
		`type = "keyprefix", prefix = "a/", token = "t"`:                          "/v1/kv/a/?recurse= t",
		`type = "services", datacenter = "dc2"`:                                   "/v1/catalog/services?dc=dc2 ",
		`type = "nodes", filter = "x"`:                                            "/v1/catalog/nodes?filter=x ",
		`type = "service", service = "web", tag = ["a", "b"], passingonly = true`: "/v1/health/service/web?passing=1&tag=a&tag=b ",
		`type = "service", service = "web", tag = "a"`:                            "/v1/health/service/web?tag=a ",
		`type = "checks"`:                     "/v1/health/state/any? ",
		`type = "checks", state = "critical"`: "/v1/health/state/critical? ",
		`type = "checks", service = "web"`:    "/v1/health/checks/web? ",
		`type = "event", name = "deploy"`:     "/v1/event/list?name=deploy ",
	} {
		inWorld(t, func(w *world) {
			e := w.engine(w.parse(settings + "\n" + `args = ["h"]`))
			synctest.Wait()
			e.Close()
			if !slices.Equal(w.asked, []string{want}) {
				w.Errorf("%s asks %q, want %q", settings, w.asked, want)
			}
		})
	}
}

func TestAWatchThatMakesNoSenseIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"args": ["h"]}`:                                                      "Watch type must be specified",
		`{"type": "nonsense", "args": ["h"]}`:                                  "Unsupported watch type: nonsense",
		`{"type": "key", "args": ["h"]}`:                                       "Must specify a single key to watch",
		`{"type": "nodes", "key": "a", "args": ["h"]}`:                         "Invalid parameters: [key]",
		`{"type": "nodes"}`:                                                    "a watch must define a handler",
		`{"type": "nodes", "args": []}`:                                        "watch args must be a list of strings",
		`{"type": "nodes", "args": [1]}`:                                       "watch args must be a list of strings",
		`{"type": "nodes", "args": "h"}`:                                       "watch args must be a list of strings",
		`{"type": "nodes", "handler": ["h"]}`:                                  "watch handler must be a string",
		`{"type": "nodes", "args": ["h"], "handler": "h"}`:                     "only one watch handler allowed",
		`{"type": "nodes", "handler_type": "mail", "args": ["h"]}`:             "handler type 'mail' not recognized",
		`{"type": "nodes", "handler_type": "http"}`:                            "Handler type 'http' requires 'http_handler_config' to be set",
		`{"type": "nodes", "handler_type": "http", "http_handler_config": {}}`: "Requires 'path' to be set",
		`{"type": "nodes", "handler_type": "http", "http_handler_config": {"path": "p", "timeout": "x"}}`: "Failed to parse timeout",
		`{"type": "nodes", "handler_type": "http", "http_handler_config": {"path": "p"}, "args": ["h"]}`:  "only one watch handler allowed",
	} {
		var settings map[string]any
		if err := json.Unmarshal([]byte(text), &settings); err != nil {
			t.Fatal(err)
		}
		if w, err := watch.Parse(settings); err == nil || !strings.Contains(err.Error(), want) || w != nil {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestAnEngineLogsTheBeginningOfWhatAHandlerSays whatever the handler says.
func TestAnEngineLogsTheBeginningOfWhatAHandlerSays(t *testing.T) {
	inWorld(t, func(w *world) {
		var log bytes.Buffer
		w.Host = w.net.HostWith("m1", netip.MustParseAddr("10.0.0.1"), w.disk, func(_ context.Context, c host.Command) (int, error) {
			_, err := io.Copy(c.Stdout, io.LimitReader(strings.NewReader(strings.Repeat("talk ", 100000)), 1e6))
			return 1, err
		})
		e := watch.New(watch.Config{Host: w.Host, Address: agentAddress, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		e.Set([]*watch.Watch{w.key()})
		synctest.Wait()
		e.Close()
		if text := log.String(); !strings.Contains(text, "exit status 1") || !strings.Contains(text, "talk talk") || len(text) > 5000 {
			w.Errorf("%d bytes were logged: %.200s", len(text), text)
		}
	})
}

func TestALineForTheShellIsAHandlerToo(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.engine(w.parse(`type = "key", key = "a", handler = "cat | wc"`))
		w.handled("/bin/sh -c cat | wc 1 after 0: null")
		e.Close()
	})
}

func TestAHandlerHasTimeToEndWhenItsWatchDoes(t *testing.T) {
	for name, end := range map[string]func(*watch.Engine){
		"a reload": func(e *watch.Engine) { e.Set(nil) },
		"the end":  func(e *watch.Engine) { e.Close() },
	} {
		inWorld(t, func(w *world) {
			var grace time.Duration
			ended := false
			w.Host = w.net.HostWith("m1", netip.MustParseAddr("10.0.0.1"), w.disk, func(ctx context.Context, c host.Command) (int, error) {
				grace = c.Grace
				<-ctx.Done()
				time.Sleep(time.Second)
				ended = true
				return 0, nil
			})
			e := watch.New(watch.Config{Host: w.Host, Address: agentAddress, Logger: slog.New(slog.DiscardHandler)})
			defer e.Close()
			e.Set([]*watch.Watch{w.key()})
			synctest.Wait()
			if end(e); !ended || grace != 5*time.Second {
				w.Errorf("%s: the handler has ended: %t; it has %v to", name, ended, grace)
			}
		})
	}
}
