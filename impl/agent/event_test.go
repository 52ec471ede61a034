package agent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/config"
)

// TestTheOfficialClientUsesEvents fires them on one agent and lists them on the
// other.
func TestTheOfficialClientUsesEvents(t *testing.T) {
	inWorld(t, func(w world) {
		m1, m2 := w.machine(1), w.machine(2)
		a1 := m1.start()
		defer w.close(a1)
		a2 := m2.start(func(c *config.Config) { c.BootstrapExpect, c.Join.Retry = 0, []string{m1.addr.String()} })
		defer w.close(a2)
		time.Sleep(5 * time.Second)
		here, there := m1.client(a1).Event(), m2.client(a2).Event()
		first, _, err := here.Fire(&capi.UserEvent{Name: "deploy", Payload: []byte("v1")}, nil)
		if err != nil {
			w.Fatal(err)
		}
		if _, _, err := here.Fire(&capi.UserEvent{Name: "deploy", NodeFilter: "^m1$"}, nil); err != nil {
			w.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		list, meta, err := there.List("deploy", nil)
		if err != nil || len(list) != 1 || list[0].ID != first || string(list[0].Payload) != "v1" || list[0].LTime == 0 || list[0].Version != 1 || meta.LastIndex != there.IDToIndex(first) {
			w.Fatalf("%+v, %+v, %v", list, meta, err)
		}
		if list, _, err := here.List("deploy", nil); err != nil || len(list) != 2 {
			w.Errorf("%+v, %v", list, err)
		}
		time.AfterFunc(30*time.Second, func() {
			if _, _, err := here.Fire(&capi.UserEvent{Name: "deploy"}, nil); err != nil {
				w.Error(err)
			}
		})
		began := time.Now()
		list, meta, err = there.List("deploy", &capi.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		if took := time.Since(began); err != nil || len(list) != 2 || meta.LastIndex != there.IDToIndex(list[1].ID) || took < 30*time.Second || took > 40*time.Second {
			w.Errorf("%+v, %+v, %v after %v", list, meta, err, took)
		}
		if _, _, err := here.Fire(&capi.UserEvent{Name: "large", Payload: slices.Repeat([]byte("x"), 512)}, nil); err == nil || !strings.Contains(err.Error(), "413") {
			w.Errorf("a payload that fits into no message: %v", err)
		}
	})
}
