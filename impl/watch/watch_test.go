package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/hcl"
	"go.uber.org/goleak"

	"tribune/impl/host"
	"tribune/impl/host/hosttest"
	"tribune/impl/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a machine with an HTTP API in the form of an agent's, and the commands
// that were run on it.
type world struct {
	*testing.T
	host.Host
	net  *hosttest.Network
	disk *hosttest.Disk

	mu      sync.Mutex
	changed chan struct{}
	there   map[string]string // what is answered, by path
	index   map[string]uint64
	asked   []string
	down    bool
	ran     []string // command, indexes and input of each handler
	running func(ctx context.Context) (int, error)
}

const agentAddress = "10.0.0.1:8500"

func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: hosttest.NewNetwork(), disk: hosttest.NewDisk(), changed: make(chan struct{}), there: map[string]string{}, index: map[string]uint64{}}
		w.Host = w.net.HostWith("m1", netip.MustParseAddr("10.0.0.1"), w.disk, w.run)
		stop := w.serve(w.Host, agentAddress, w)
		f(w)
		stop()
	})
}

// serve answers HTTP on a host until the function is called.
func (w *world) serve(h host.Host, address string, handler http.Handler) (stop func()) {
	l, err := h.Network().Listen(w.Context(), "tcp", address)
	if err != nil {
		w.Fatal(err)
	}
	s := http.Server{Handler: handler}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	return func() {
		if err := s.Close(); err != nil {
			w.Error(err)
		}
		<-done // says that it was closed
	}
}

// set makes the API answer something else.
func (w *world) set(path, answer string, index uint64) {
	w.mu.Lock()
	w.there[path], w.index[path] = answer, index
	w.wake()
	w.mu.Unlock()
	synctest.Wait()
}

func (w *world) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) breakDown(down bool) {
	w.mu.Lock()
	w.down = down
	w.wake()
	w.mu.Unlock()
}

// ServeHTTP answers as an agent does, with blocking queries.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := r.URL.Query()
	index, _ := strconv.ParseUint(q.Get("index"), 10, 64) // none is 0
	q.Del("index")
	line := r.URL.Path + "?" + q.Encode() + " " + r.Header.Get("X-Consul-Token")
	if !slices.Contains(w.asked, line) {
		w.asked = append(w.asked, line)
	}
	wait := time.After(5 * time.Minute)
	for waiting := true; waiting && max(w.index[r.URL.Path], 1) == index && !w.down; {
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-wait:
			waiting = false
		case <-r.Context().Done():
			waiting = false
		}
		w.mu.Lock()
	}
	if w.down {
		rw.WriteHeader(http.StatusInternalServerError)
		return
	}
	rw.Header().Set("X-Consul-Index", strconv.FormatUint(max(w.index[r.URL.Path], 1), 10))
	if w.there[r.URL.Path] == "" {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(rw, w.there[r.URL.Path])
}

// run runs a command.
func (w *world) run(ctx context.Context, c host.Command) (int, error) {
	in, err := io.ReadAll(c.Stdin)
	if err != nil {
		return 0, err
	}
	var env []string
	for _, e := range c.Env {
		_, v, _ := strings.Cut(e, "=")
		env = append(env, v)
	}
	w.mu.Lock()
	w.ran = append(w.ran, fmt.Sprintf("%s %s: %s", strings.Join(c.Args, " "), strings.Join(env, " after "), strings.TrimSpace(string(in))))
	then := w.running
	w.mu.Unlock()
	if then != nil {
		return then(ctx)
	}
	return 0, nil
}

// handled checks which handlers have run since it was called last.
func (w *world) handled(want ...string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.ran, want) {
		w.Errorf("these handlers ran:\n%s\nwant\n%s", strings.Join(w.ran, "\n"), strings.Join(want, "\n"))
	}
	w.ran = nil
}

// engine starts an engine with watches, as an agent does.
func (w *world) engine(watches ...*watch.Watch) *watch.Engine {
	e := watch.New(watch.Config{Host: w.Host, Address: agentAddress, File: "/watches.json", Logger: slog.New(slog.DiscardHandler)})
	e.Set(watches)
	return e
}

func (w *world) parse(text string) *watch.Watch {
	w.Helper()
	var settings map[string]any
	if err := hcl.Decode(&settings, text); err != nil {
		w.Fatal(err)
	}
	parsed, err := watch.Parse(settings)
	if err != nil {
		w.Fatal(err)
	}
	return parsed
}

// key is the watch of a key, and pair its answer.
func (w *world) key() *watch.Watch { return w.parse(`type = "key", key = "a", args = ["h"]`) }

func (w *world) put(value string, index uint64) {
	w.set("/v1/kv/a", fmt.Sprintf(`[{"Key":"a","Value":%q,"ModifyIndex":%d}]`, value, index), index)
}

func (w *world) pair(value string, index, previous, modified int) string {
	return fmt.Sprintf(`h %d after %d: {"Key":"a","CreateIndex":0,"ModifyIndex":%d,"LockIndex":0,"Flags":0,"Value":%q,"Session":""}`, index, previous, modified, value)
}

// TestAHandlerRunsAtOnceAndAtEveryChange: handlers in an agent's configuration are no
// other than those of the command line (consul#13428), and learn whether they missed
// anything (consul#6643).
func TestAHandlerRunsAtOnceAndAtEveryChange(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.engine(w.key())
		defer e.Close()
		w.handled("h 1 after 0: null") // there is none
		previous := 1
		for index := 10; index < 15; index++ {
			w.put("dg==", uint64(index))
			w.handled(w.pair("dg==", index, previous, index))
			previous = index
		}
		time.Sleep(24 * time.Hour)
		w.handled()
	})
}

// TestTheEnvironmentDoesNotSayHowAnAgentAsksItself: what is there for the commands of
// whoever started it.
func TestTheEnvironmentDoesNotSayHowAnAgentAsksItself(t *testing.T) {
	for name, value := range map[string]string{
		"CONSUL_HTTP_SSL": "true", "CONSUL_NAMESPACE": "team", "CONSUL_PARTITION": "east", "CONSUL_HTTP_ADDR": "https://10.0.0.9:1",
		"CONSUL_HTTP_TOKEN": "t", "CONSUL_HTTP_TOKEN_FILE": "/none", "CONSUL_CACERT": "/none", "CONSUL_HTTP_AUTH": "user:password",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			inWorld(t, func(w *world) {
				e := w.engine(w.key(), w.parse(`type = "key", key = "b", token = "t", args = ["h"]`))
				w.handled("h 1 after 0: null", "h 1 after 0: null")
				w.put("MQ==", 5)
				w.handled(w.pair("MQ==", 5, 1, 5))
				e.Close()
				slices.Sort(w.asked)
				if want := []string{"/v1/kv/a? ", "/v1/kv/b? t"}; !slices.Equal(w.asked, want) {
					w.Errorf("it asked %q, want %q", w.asked, want)
				}
			})
		})
	}
}

func TestChangesDuringAHandlerAreOneChange(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running = func(ctx context.Context) (int, error) {
			time.Sleep(10 * time.Second)
			return 0, nil
		}
		w.put("MQ==", 5)
		e := w.engine(w.key())
		defer e.Close()
		w.handled(w.pair("MQ==", 5, 0, 5))
		w.put("Mg==", 6)
		w.put("Mw==", 7)
		w.handled()
		time.Sleep(11 * time.Second)
		w.handled(w.pair("Mw==", 7, 5, 7))
		time.Sleep(time.Minute)
	})
}

// TestAHandlerRunsAgainOnlyIfWhatItSawChanged: after a restart, a reload and an error
// (consul#571, #1256, #809).
func TestAHandlerRunsAgainOnlyIfWhatItSawChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put("MQ==", 5)
		e := w.engine(w.key())
		w.handled(w.pair("MQ==", 5, 0, 5))
		e.Set([]*watch.Watch{w.key()}) // a reload without a change
		w.handled()
		e.Close()
		w.handled()

		e = w.engine(w.key()) // a restart without a change
		w.handled()
		w.put("Mg==", 6)
		w.handled(w.pair("Mg==", 6, 5, 6))
		e.Close()

		w.put("Mw==", 7)
		e = w.engine(w.key()) // with one
		w.handled(w.pair("Mw==", 7, 6, 7))

		w.set("/v1/kv/a", w.there["/v1/kv/a"], 8) // something else moved the index
		w.handled()

		w.breakDown(true)
		time.Sleep(time.Minute)
		w.breakDown(false)
		time.Sleep(5 * time.Minute)
		w.handled()
		w.breakDown(true)
		time.Sleep(time.Minute)
		w.put("NA==", 9)
		w.breakDown(false)
		time.Sleep(5 * time.Minute)
		w.handled(w.pair("NA==", 9, 7, 9))

		other := w.parse(`type = "key", key = "a", args = ["other"]`)
		e.Set([]*watch.Watch{w.key(), other}) // a reload with a new handler, which has seen nothing
		w.handled(strings.Replace(w.pair("NA==", 9, 0, 9), "h ", "other ", 1))
		e.Set([]*watch.Watch{other})
		w.put("NQ==", 10)
		w.handled(strings.Replace(w.pair("NQ==", 10, 9, 10), "h ", "other ", 1))
		e.Set([]*watch.Watch{w.key(), w.key()}) // what is gone is forgotten; twice the same are two
		w.handled(w.pair("NQ==", 10, 0, 10), w.pair("NQ==", 10, 0, 10))
		e.Close()
		e.Set([]*watch.Watch{other})
		w.handled()
	})
}

func TestAHandlerThatWasStoppedHalfWayRunsAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.running = func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		w.put("MQ==", 5)
		e := w.engine(w.key())
		w.handled(w.pair("MQ==", 5, 0, 5))
		e.Close()
		w.running = func(context.Context) (int, error) { return 3, nil }
		e = w.engine(w.key())
		w.handled(w.pair("MQ==", 5, 0, 5))
		e.Close()
		e = w.engine(w.key()) // it failed, but it has seen the change
		w.handled()
		w.put("Mg==", 6)
		w.handled(w.pair("Mg==", 6, 5, 6))
		e.Close()
	})
}

func TestWithoutItsFileEveryHandlerRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put("MQ==", 5)
		for _, text := range []string{"no JSON", "null", "{}"} {
			if err := host.ReplaceFile(w.disk, "/watches.json", []byte(text)); err != nil {
				w.Fatal(err)
			}
			e := w.engine(w.key())
			w.handled(w.pair("MQ==", 5, 0, 5))
			e.Close()
		}
		w.disk.Fail(func(op, _ string) error {
			if op == "sync" {
				return errors.New("the disk is broken")
			}
			return nil
		})
		e := w.engine(w.key())
		w.put("Mg==", 6)
		w.handled(w.pair("Mg==", 6, 5, 6))
		e.Close()
	})
}

func TestAnEventIsHandledOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		ids := []string{"aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002", "aaaaaaaa-0000-0000-0000-000000000003"}
		fire := func(from, to int) { // what the agent lists
			var l []string
			for i := from; i < to; i++ {
				l = append(l, fmt.Sprintf(`{"ID":%q,"Name":"e%d"}`, ids[i], i))
			}
			index := uint64(1)
			if to > from {
				index = (&capi.Event{}).IDToIndex(ids[to-1])
			}
			w.set("/v1/event/list", "["+strings.Join(l, ",")+"]", index)
		}
		names := func() (all string) {
			synctest.Wait()
			for _, line := range w.ran {
				_, data, _ := strings.Cut(line, ": ")
				var events []capi.UserEvent
				if err := json.Unmarshal([]byte(data), &events); err != nil {
					w.Fatal(err)
				}
				all += "["
				for _, e := range events {
					all += e.Name
				}
				all += "]"
			}
			w.ran = nil
			return all
		}
		definition := `type = "event", name = "e", args = ["h"]`
		step := func(what, want string) {
			w.Helper()
			if got := names(); got != want {
				w.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		fire(0, 0)
		e := w.engine(w.parse(definition))
		step("none yet", "[]")
		fire(0, 1)
		step("the first", "[e0]")
		fire(0, 2)
		step("the second", "[e1]")
		e.Close()
		e = w.engine(w.parse(definition))
		step("the watch began again", "")
		fire(0, 3)
		step("the third", "[e2]")
		e.Close()
		fire(0, 0)
		e = w.engine(w.parse(definition))
		step("the agent began again", "")
		e.Close()
	})
}
