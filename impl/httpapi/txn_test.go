package httpapi_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tribune/impl/httpapi"
)

// transact sends a transaction to an API over a backend, whose transactions that only
// read fail.
func transact(query, body string) *http.Response {
	h := httpapi.New(httpapi.Config{Txn: backend{&fake{}}, Logger: slog.New(slog.DiscardHandler), MaxValueSize: 10, MaxTxnLen: 1000})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("PUT", "/v1/txn"+query, strings.NewReader(body)))
	return w.Result()
}

func TestOnlyATransactionThatReadsHasAMode(t *testing.T) {
	for _, query := range []string{"?stale&consistent", "?index=x", "?wait=soon", "?max_stale=1"} {
		if r := transact(query, `[{"KV": {"Verb": "set", "Key": "a"}}]`); r.StatusCode != 200 {
			t.Errorf("a write with %s: %d", query, r.StatusCode)
		}
		if r := transact(query, `[{"KV": {"Verb": "get", "Key": "a"}}]`); r.StatusCode != 400 {
			t.Errorf("a read with %s: %d", query, r.StatusCode)
		}
	}
}

func TestATransactionThatReadsTellsHowFreshItIsAndNoIndex(t *testing.T) {
	h := transact("", `[{"KV": {"Verb": "get", "Key": "a"}}]`).Header
	if h.Get("X-Consul-KnownLeader") == "" || h.Get("X-Consul-LastContact") == "" || h.Values("X-Consul-Index") != nil {
		t.Errorf("%v", h)
	}
}

func TestAFailedTransactionIsIndentedIfItShallBePretty(t *testing.T) {
	r := transact("?pretty", `[{"KV": {"Verb": "get", "Key": "a"}}]`)
	b, _ := io.ReadAll(r.Body)
	if !strings.HasPrefix(string(b), "{\n    \"Results\": null,") || r.StatusCode != 409 || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", r.StatusCode, b)
	}
}
