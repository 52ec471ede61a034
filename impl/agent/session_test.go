package agent_test

import (
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
)

// TestTheOfficialClientUsesSessions creates, reads, renews and destroys one.
func TestTheOfficialClientUsesSessions(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		time.Sleep(time.Second) // the leader registers its own node
		sessions := m.client(a).Session()
		id, _, err := sessions.Create(&capi.SessionEntry{Name: "mine", TTL: "30s", LockDelay: 5 * time.Second, Behavior: "delete"}, nil)
		if err != nil {
			w.Fatal(err)
		}
		s, meta, err := sessions.Info(id, nil)
		if err != nil || s.Name != "mine" || s.Node != "m1" || s.TTL != "30s" || s.LockDelay != 5*time.Second || s.Behavior != "delete" || len(s.NodeChecks) != 1 || s.NodeChecks[0] != "serfHealth" || meta.LastIndex == 0 {
			w.Errorf("%+v, %+v, %v", s, meta, err)
		}
		if s, _, err := sessions.Renew(id, nil); err != nil || s.ID != id {
			w.Errorf("renewed: %+v, %v", s, err)
		}
		if l, _, err := sessions.Node("M1", nil); err != nil || len(l) != 1 {
			w.Errorf("of the node: %+v, %v", l, err)
		}
		if l, _, err := sessions.List(nil); err != nil || len(l) != 1 {
			w.Errorf("all: %+v, %v", l, err)
		}
		if _, err := sessions.Destroy(id, nil); err != nil {
			w.Error(err)
		}
		if s, _, err := sessions.Info(id, nil); s != nil || err != nil {
			w.Errorf("destroyed: %+v, %v", s, err)
		}
		if s, _, err := sessions.Renew(id, nil); s != nil || err != nil {
			w.Errorf("renewed after its end: %+v, %v", s, err)
		}
	})
}

// TestTheOfficialClientsLockGoesFromOneToTheOther has two holders take turns, the
// second one while it waits, and then the first one's session end under it.
func TestTheOfficialClientsLockGoesFromOneToTheOther(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		time.Sleep(time.Second) // the leader registers its own node
		c := m.client(a)
		take := func(who string) (*capi.Lock, <-chan struct{}) {
			l, err := c.LockOpts(&capi.LockOptions{Key: "service/leader", Value: []byte(who), SessionTTL: "10s", LockDelay: time.Second})
			if err != nil {
				w.Fatal(err)
			}
			lost, err := l.Lock(nil)
			if err != nil {
				w.Fatal(err)
			}
			return l, lost
		}
		first, _ := take("first")
		second := make(chan (<-chan struct{}))
		go func() {
			l, lost := take("second")
			second <- lost
			<-lost
			_ = l.Unlock() // it is lost already
			close(second)
		}()
		time.Sleep(30 * time.Second)
		select {
		case <-second:
			w.Fatal("both have the lock")
		default:
		}
		if err := first.Unlock(); err != nil {
			w.Fatal(err)
		}
		lost := <-second
		pair, _, err := c.KV().Get("service/leader", nil)
		if err != nil || string(pair.Value) != "second" || pair.LockIndex != 2 {
			w.Errorf("%+v, %v", pair, err)
		}
		if _, err := c.Session().Destroy(pair.Session, nil); err != nil {
			w.Fatal(err)
		}
		<-lost
		<-second
	})
}

func TestSessionsInOtherSpellings(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		time.Sleep(time.Second) // the leader registers its own node
		for body, want := range map[string]string{
			``:                                     `"LockDelay":15000000000,"Behavior":"release","TTL":"","NodeChecks":["serfHealth"]`,
			`{}`:                                   `"LockDelay":15000000000`,
			`{"LockDelay": "7s", "TTL": "20s"}`:    `"LockDelay":7000000000,"Behavior":"release","TTL":"20s"`,
			`{"LockDelay": 8}`:                     `"LockDelay":8000000000`,
			`{"LockDelay": 9000000000}`:            `"LockDelay":9000000000`,
			`{"LockDelay": "2h"}`:                  `"LockDelay":60000000000`,
			`{"Checks": []}`:                       `"NodeChecks":[]`,
			`{"Checks": [], "Name": "n"}`:          `"Name":"n"`,
			`{"node": "M1", "nodechecks": ["x"]}`:  "",
			`{"LockDelay": "soon"}`:                "",
			`{"LockDelay": []}`:                    "",
			`{"ServiceChecks": [{"ID": "none"}]}`:  "",
			`{"Node": "m1", "Behavior": "delete"}`: `"Behavior":"delete"`,
		} {
			status, answer, err := m.ask(a, "PUT", "/v1/session/create", body)
			if err != nil || (status == 200) != (want != "") {
				w.Errorf("%s: %d %s, %v", body, status, answer, err)
			}
			if want == "" || status != 200 {
				continue
			}
			id := strings.Split(answer, `"`)[3]
			if _, info, err := m.ask(a, "GET", "/v1/session/info/"+id, ""); err != nil || !strings.Contains(info, want) {
				w.Errorf("%s made %s, %v; want %s", body, info, err, want)
			}
		}
		for _, c := range []struct {
			method, path string
			status       int
			want         string
		}{
			{"PUT", "/v1/session/destroy/", 400, "Missing session"},
			{"PUT", "/v1/session/destroy/none", 200, "true"},
			{"PUT", "/v1/session/renew/none", 404, "Session id 'none' not found"},
			{"GET", "/v1/session/info/none", 200, "[]"},
			{"GET", "/v1/session/node/", 400, "Missing node name"},
			{"PUT", "/v1/kv/k?acquire=none", 500, `invalid session "none"`},
			{"PUT", "/v1/kv/k?acquire", 500, "missing session"},
			{"PUT", "/v1/kv/k?release=none", 200, "false"},
		} {
			if status, answer, err := m.ask(a, c.method, c.path, ""); err != nil || status != c.status || answer != c.want {
				w.Errorf("%s %s: %d %q, %v; want %d %q", c.method, c.path, status, answer, err, c.status, c.want)
			}
		}
	})
}
