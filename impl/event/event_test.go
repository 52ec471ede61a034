package event_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/go-uuid"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/event"
	"tribune/impl/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pool is agents among whom whatever one fires reaches all at once.
type pool struct {
	agents []*event.Events
	queues []chan api.RawEvent
	mu     sync.Mutex
	ltime  uint64
	wire   []api.RawEvent // all that was fired
}

func (p *pool) fire(name string, payload []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ltime++
	raw := api.RawEvent{Name: name, Payload: payload, LTime: p.ltime}
	p.wire = append(p.wire, raw)
	for _, q := range p.queues {
		q <- raw
	}
	return nil
}

// join adds an agent and has it take what comes until the test ends.
func (p *pool) join(t *testing.T, c event.Config) *event.Events {
	c.Fire, c.Logger, c.Datacenter = p.fire, slog.New(slog.DiscardHandler), "dc1"
	e, q := event.New(c), make(chan api.RawEvent, event.Queue)
	p.agents, p.queues = append(p.agents, e), append(p.queues, q)
	go e.Run(t.Context(), q)
	return e
}

func fire(t *testing.T, e *event.Events, ev api.UserEvent) api.UserEvent {
	t.Helper()
	sent, err := e.EventFire(t.Context(), api.EventFireRequest{Event: ev})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return sent
}

func list(t *testing.T, e *event.Events, r api.EventListRequest) (names []string, index uint64) {
	t.Helper()
	a, err := e.EventList(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range a.Items {
		names = append(names, ev.Name)
	}
	return names, a.Index
}

func TestAnEventReachesThoseWhomItsFiltersChoose(t *testing.T) {
	services := []api.AgentService{{Service: "web", Tags: []string{"v1", "blue"}}, {Service: "db", Tags: []string{"primary"}}}
	for _, c := range []struct {
		node, service, tag string
		want               string // nodes
	}{
		{"", "", "", "web1 web2 db1"},
		{"^web", "", "", "web1 web2"},
		{"1", "", "", "web1 db1"},
		{"", "web", "", "web2"},
		{"", "d", "", "web2"},
		{"", "web", "^v", "web2"},
		{"", "web", "primary", ""},
		{"db1", "web", "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var p pool
			for _, node := range []string{"web1", "web2", "db1"} {
				has := func() []api.AgentService { return services }
				if node == "db1" {
					has = func() []api.AgentService { return []api.AgentService{{Service: "other"}} }
				}
				if node == "web1" {
					has = nil
				}
				p.join(t, event.Config{Node: node, Services: has})
			}
			fire(t, p.agents[0], api.UserEvent{Name: "deploy", NodeFilter: c.node, ServiceFilter: c.service, TagFilter: c.tag})
			var reached []string
			for i, e := range p.agents {
				if got, _ := list(t, e, api.EventListRequest{}); len(got) == 1 {
					reached = append(reached, []string{"web1", "web2", "db1"}[i])
				}
			}
			if got := strings.Join(reached, " "); got != c.want {
				t.Errorf("node %q, service %q, tag %q: it reached %q, want %q", c.node, c.service, c.tag, got, c.want)
			}
		})
	}
}

func TestAnEventThatMakesNoSenseIsNotFired(t *testing.T) {
	for _, c := range []struct {
		event api.UserEvent
		dc    string
		kind  fault.Kind
		want  string
	}{
		{api.UserEvent{}, "", fault.Invalid, "User event name is missing"},
		{api.UserEvent{Name: "a", TagFilter: "x"}, "", fault.Invalid, "Cannot provide tag filter without service filter"},
		{api.UserEvent{Name: "a", NodeFilter: "("}, "", fault.Invalid, "Invalid node filter: "},
		{api.UserEvent{Name: "a", ServiceFilter: "("}, "", fault.Invalid, "Invalid service filter: "},
		{api.UserEvent{Name: "a", ServiceFilter: "s", TagFilter: "("}, "", fault.Invalid, "Invalid tag filter: "},
		{api.UserEvent{Name: "a"}, "dc2", fault.Internal, "No path to datacenter"},
	} {
		e := event.New(event.Config{Datacenter: "dc1", Fire: func(string, []byte) error { return errors.New("it was fired") }})
		_, err := e.EventFire(t.Context(), api.EventFireRequest{Event: c.event, WriteOptions: api.WriteOptions{Datacenter: c.dc}})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || fault.Of(err) != c.kind {
			t.Errorf("%+v: %v, kind %v", c.event, err, fault.Of(err))
		}
	}
}

// TestEventsTravelAsConsulsDo holds the form on the wire, which agents of Consul in
// the same pool read.
func TestEventsTravelAsConsulsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		e := p.join(t, event.Config{Node: "a"})
		sent := fire(t, e, api.UserEvent{Name: "deploy", Payload: []byte("v2"), NodeFilter: "a", ServiceFilter: "", LTime: 99, Version: 7})
		var wire map[string]any
		h := &codec.MsgpackHandle{}
		h.RawToString = true
		if err := codec.NewDecoderBytes(p.wire[0].Payload, h).Decode(&wire); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(wire), fmt.Sprintf("map[ID:%s n:deploy nf:a p:v2 v:1]", sent.ID); p.wire[0].Name != "consul:event:deploy" || got != want {
			t.Errorf("%s: %s, want %s", p.wire[0].Name, got, want)
		}
		a, err := e.EventList(t.Context(), api.EventListRequest{})
		sent.LTime = 1
		if err != nil || len(a.Items) != 1 || fmt.Sprint(a.Items[0]) != fmt.Sprint(sent) {
			t.Errorf("%+v, %v; want %+v", a, err, sent)
		}
	})
}

func TestWhatIsNoEventIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id, err := uuid.GenerateUUID()
		if err != nil {
			t.Fatal(err)
		}
		encode := func(v any) (b []byte) {
			if err := codec.NewEncoderBytes(&b, &codec.MsgpackHandle{}).Encode(v); err != nil {
				t.Fatal(err)
			}
			return b
		}
		var p pool
		e := p.join(t, event.Config{Node: "a"})
		good := api.UserEvent{ID: id, Name: "good", Version: 1}
		for _, raw := range []api.RawEvent{
			{Name: "consul:new-leader", Payload: encode(good)},
			{Name: "consul:event:x", Payload: []byte("no msgpack")},
			{Name: "consul:event:x"},
			{Name: "consul:event:x", Payload: encode(api.UserEvent{ID: "short", Name: "x", Version: 1})}, // Consul's client would panic
			{Name: "consul:event:x", Payload: encode(api.UserEvent{ID: id, Version: 1})},
			{Name: "consul:event:x", Payload: encode(api.UserEvent{ID: id, Name: "x", NodeFilter: "(", Version: 1})},
			{Name: "consul:event:x", Payload: encode(api.UserEvent{ID: id, Name: "x", Version: 2})},
			{Name: "consul:event:good", Payload: encode(good)},
		} {
			p.queues[0] <- raw
		}
		synctest.Wait()
		if got, _ := list(t, e, api.EventListRequest{}); !slices.Equal(got, []string{"good"}) {
			t.Errorf("%q were listed", got)
		}
	})
}

// TestTheLastEventsAreListedOnce compares the list with what it should be, whatever
// comes twice and however much comes.
func TestTheLastEventsAreListedOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 400).Draw(rt, "events")
		again := rapid.SliceOfN(rapid.IntRange(0, 254), n, n).Draw(rt, "how far back each is repeated")
		synctest.Test(t, func(t *testing.T) {
			var p pool
			e := p.join(t, event.Config{})
			var model []string
			for i := range n {
				name := fmt.Sprint("e", i)
				fire(t, e, api.UserEvent{Name: name})
				model = append(model, name)
				p.queues[0] <- p.wire[max(i-again[i], 0)]
			}
			synctest.Wait()
			model = model[max(len(model)-256, 0):]
			got, index := list(t, e, api.EventListRequest{})
			if !slices.Equal(got, model) {
				t.Errorf("%d events: %q, want %q", n, got, model)
			}
			if n == 0 && index != 1 {
				t.Errorf("the index of nothing is %d", index)
			}
		})
	})
}

func TestEventsThatTheAgentActsOnPushNoOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		acted := 0
		e := p.join(t, event.Config{Internal: map[string]func(api.UserEvent){"_rexec": func(api.UserEvent) { acted++ }}})
		fire(t, e, api.UserEvent{Name: "a"})
		for range 300 {
			fire(t, e, api.UserEvent{Name: "_rexec"})
			p.queues[0] <- p.wire[len(p.wire)-1]
		}
		synctest.Wait()
		if got, _ := list(t, e, api.EventListRequest{}); !slices.Equal(got, []string{"a"}) || acted != 300 {
			t.Errorf("%q are listed, it acted %d times", got, acted)
		}
	})
}

func TestTheIndexOfAListIsWhatConsulsClientMakesOfTheLastID(t *testing.T) {
	client, err := capi.NewClient(capi.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		id, err := uuid.GenerateUUID()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := event.Index(id), client.Event().IDToIndex(id); got != want {
			t.Errorf("%s: %d, the client has %d", id, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var p pool
		e := p.join(t, event.Config{})
		for _, name := range []string{"a", "b", "a"} {
			last := fire(t, e, api.UserEvent{Name: name})
			if _, index := list(t, e, api.EventListRequest{Name: name}); index != client.Event().IDToIndex(last.ID) {
				t.Errorf("%s: %d", name, index)
			}
		}
	})
}

func TestAListIsNarrowedByWhatTheRequestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		acted := 0
		e := p.join(t, event.Config{Node: "n1", Services: func() []api.AgentService { return []api.AgentService{{Service: "web", Tags: []string{"v1"}}} },
			Internal: map[string]func(api.UserEvent){"_rexec": func(api.UserEvent) { acted++ }}})
		fire(t, e, api.UserEvent{Name: "a"})
		fire(t, e, api.UserEvent{Name: "b", NodeFilter: "n[0-9]"})
		fire(t, e, api.UserEvent{Name: "_rexec"})
		fire(t, e, api.UserEvent{Name: "c", ServiceFilter: "web", TagFilter: "v1"})
		p.queues[0] <- p.wire[2] // once more
		synctest.Wait()
		if acted != 1 {
			t.Errorf("an event of the agent's own was acted on %d times", acted)
		}
		for want, r := range map[string]api.EventListRequest{
			"a b c": {}, "a": {Name: "a"}, "": {Name: "_rexec"}, "b": {Node: "^n"}, "c": {Service: "web"}, "b c": {Since: 1},
		} {
			if got, _ := list(t, e, r); strings.Join(got, " ") != want {
				t.Errorf("%+v lists %q, want %q", r, got, want)
			}
		}
		if _, err := e.EventList(t.Context(), api.EventListRequest{Tag: "("}); fault.Of(err) != fault.Invalid {
			t.Errorf("an expression that is none: %v", err)
		}
	})
}

func TestAReadWithTheIndexOfTheListWaitsForTheNextEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		e := p.join(t, event.Config{})
		wait := func(ctx context.Context, name string, index uint64) (string, time.Duration) {
			began := time.Now()
			a, err := e.EventList(ctx, api.EventListRequest{Name: name, QueryOptions: api.QueryOptions{MinQueryIndex: index, MaxQueryTime: time.Minute}})
			if err != nil {
				t.Error(err)
			}
			return fmt.Sprint(len(a.Items)), time.Since(began)
		}
		first := fire(t, e, api.UserEvent{Name: "a"})
		time.AfterFunc(5*time.Second, func() { fire(t, e, api.UserEvent{Name: "b"}) })
		time.AfterFunc(10*time.Second, func() { fire(t, e, api.UserEvent{Name: "a"}) })
		if n, took := wait(t.Context(), "a", event.Index(first.ID)); n != "2" || took != 10*time.Second {
			t.Errorf("the next of its name: %s events after %v", n, took)
		}
		if n, took := wait(t.Context(), "a", event.Index(first.ID)); n != "2" || took != 0 {
			t.Errorf("one that has come already: %s events after %v", n, took)
		}
		if n, took := wait(t.Context(), "none", 1); n != "0" || took < time.Minute || took > 64*time.Second {
			t.Errorf("nothing: %s events after %v", n, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, took := wait(ctx, "none", 1); took != time.Second {
			t.Errorf("a reader who went away waited for %v", took)
		}
	})
}

// FuzzReceive: whatever comes over the wire, the list stays one that a client can
// read.
func FuzzReceive(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte) {
		synctest.Test(t, func(t *testing.T) {
			var p pool
			e := p.join(t, event.Config{Node: "n1"})
			p.queues[0] <- api.RawEvent{Name: "consul:event:x", Payload: payload}
			synctest.Wait()
			a, err := e.EventList(t.Context(), api.EventListRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range a.Items {
				if _, err := uuid.ParseUUID(ev.ID); err != nil || ev.Name == "" {
					t.Errorf("%+v is listed", ev)
				}
			}
		})
	})
}
