package httpapi_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/httpapi"
)

// sessions remembers the session that was created last.
type sessions struct {
	httpapi.Session
	created api.Session
}

func (s *sessions) SessionApply(_ context.Context, r api.SessionApplyRequest) (api.SessionApplyResponse, error) {
	s.created = r.Session
	return api.SessionApplyResponse{}, nil
}

// create creates a session and returns it, or the text of what was refused.
func create(t *testing.T, body string) (api.Session, string) {
	t.Helper()
	var s sessions
	w := httptest.NewRecorder()
	h := httpapi.New(httpapi.Config{Session: &s, Agent: &fake{}, Logger: slog.New(slog.DiscardHandler)})
	h.ServeHTTP(w, httptest.NewRequest("PUT", "/v1/session/create", strings.NewReader(body)))
	if w.Code != 200 {
		return api.Session{}, w.Body.String()
	}
	return s.created, ""
}

func TestASessionStandsOnItsChecksAndItsNodesChecks(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                     "serfHealth",
		`{"Checks": ["a"]}`:                      "serfHealth a",
		`{"Checks": ["serfHealth", "a"]}`:        "serfHealth a",
		`{"Checks": ["a"], "NodeChecks": ["b"]}`: "b a",
		`{"Checks": ["a", "b"], "NodeChecks": ["b"]}`:  "b a",
		`{"Checks": ["a"], "NodeChecks": []}`:          "a",
		`{"Checks": ["serfHealth"], "NodeChecks": []}`: "",
		`{"Checks": ["serfHealth"]}`:                   "serfHealth",
		`{"NodeChecks": ["b"]}`:                        "b",
		`{"NodeChecks": []}`:                           "",
		`{"Checks": []}`:                               "",
		`{"Checks": null}`:                             "",
		`{"Checks": [], "NodeChecks": ["b"]}`:          "",
	} {
		s, refused := create(t, body)
		if !slices.Equal(s.NodeChecks, strings.Fields(want)) || refused != "" {
			t.Errorf("%s: %q, %s; want %q", body, s.NodeChecks, refused, want)
		}
	}
}

func TestALockDelayIsATextOrAnyNumber(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`null`: 15 * time.Second, `0`: 0, `"0s"`: 0, `7`: 7 * time.Second, `7.9`: 7 * time.Second, `999`: 999 * time.Second, `1000`: 1000,
		`1e10`: 10 * time.Second, `2500000000.0`: 2500 * time.Millisecond, `-5`: 0, `1e300`: 24 * time.Hour, `"3s"`: 3 * time.Second, `"4ns"`: 4 * time.Second,
	} {
		if s, refused := create(t, `{"LockDelay": `+text+`}`); s.LockDelay != want || refused != "" {
			t.Errorf("%s: %v, %s; want %v", text, s.LockDelay, refused, want)
		}
	}
	for _, text := range []string{`""`, `"soon"`, `[]`, `true`} {
		if s, refused := create(t, `{"LockDelay": `+text+`}`); !strings.HasPrefix(refused, "Request decode failed: ") {
			t.Errorf("%s: %v", text, s.LockDelay)
		}
	}
}
