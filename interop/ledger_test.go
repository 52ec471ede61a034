//go:build interop

package interop

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ledger is a transport that writes down which requests succeeded.
type ledger struct {
	mu   sync.Mutex
	good map[string]bool // "METHOD /path"
}

// RoundTrip implements http.RoundTripper.
func (l *ledger) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && a.StatusCode/100 == 2 {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.good == nil {
			l.good = map[string]bool{}
		}
		l.good[r.Method+" "+r.URL.Path] = true
	}
	return a, err
}

// endpoint is a line of a table in impl/httpapi: a path, which stands for all that
// begin with it if it ends in a slash, and methods.
var (
	endpoint = regexp.MustCompile(`\{"(/v1/[^"]+)", (get|put|\[\]string\{[^}]*\}), `)
	method   = regexp.MustCompile(`[A-Z]+`)
)

// endpoints reads from the sources what the agent serves, as "METHOD /path".
func endpoints(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../impl/httpapi/*.go")
	ok(t, err)
	var all []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		ok(t, err)
		for _, line := range endpoint.FindAllStringSubmatch(string(text), -1) {
			methods := line[2]
			if methods == "get" || methods == "put" {
				methods = strings.ToUpper(methods)
			}
			for _, m := range method.FindAllString(methods, -1) {
				all = append(all, m+" "+line[1])
			}
		}
	}
	if len(all) < 60 {
		t.Fatalf("only %d endpoints found in impl/httpapi: have its tables another form now? %q", len(all), all)
	}
	return all
}

// unused lists those of the endpoints that no request has used with success.
func (l *ledger) unused(all []string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := map[string]bool{}
	for request := range l.good {
		used[serving(request, all)] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(e string) bool { return used[e] })
}

// serving is the endpoint that a request goes to: the one with its very path, or
// else the longest that its path lies below.
func serving(request string, all []string) string {
	longest := ""
	for _, e := range all {
		if e == request {
			return e
		}
		if strings.HasSuffix(e, "/") && strings.HasPrefix(request, e) && len(e) > len(longest) {
			longest = e
		}
	}
	return longest
}
