package check

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tribune/impl/api"
)

// userAgent is what servers know these requests by.
const userAgent = "Consul Health Check"

// http asks a URL: 2xx is passing, 429 (too many requests) a warning, everything
// else critical. Every run has a connection of its own.
func (c Config) http(d api.CheckDefinition) probe {
	transport := &http.Transport{
		DialContext: c.Network.Dial, TLSClientConfig: c.tlsFor(d, ""), DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}
	client := &http.Client{Transport: transport}
	if d.DisableRedirects {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return func(ctx context.Context) finding {
		defer transport.CloseIdleConnections() // and whatever is being dialled still
		r, err := request(ctx, d)
		if err != nil {
			return finding{api.HealthCritical, err.Error()}
		}
		a, err := client.Do(r)
		if err != nil {
			return finding{api.HealthCritical, err.Error()}
		}
		defer a.Body.Close()
		body := tail{limit: c.outputMaxSize(d)}
		if _, err := io.Copy(&body, a.Body); err != nil {
			c.Logger.Warn("Check error while reading body", "error", err)
		}
		return finding{statusOf(a.StatusCode), fmt.Sprintf("HTTP %s %s: %s Output: %s", r.Method, d.HTTP, a.Status, body.kept)}
	}
}

func request(ctx context.Context, d api.CheckDefinition) (*http.Request, error) {
	method := d.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, d.HTTP, strings.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "text/plain, text/*, */*")
	for _, name := range slices.Sorted(maps.Keys(d.Header)) {
		r.Header.Del(name)
		for _, value := range d.Header[name] {
			r.Header.Add(name, value)
		}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host // the one header that a client does not send from Header
	}
	return r, nil
}

func statusOf(code int) string {
	switch {
	case code >= 200 && code <= 299:
		return api.HealthPassing
	case code == http.StatusTooManyRequests:
		return api.HealthWarning
	default:
		return api.HealthCritical
	}
}
