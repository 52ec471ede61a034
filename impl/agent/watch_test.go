package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// handlers are the commands that a machine was asked to run, with their input.
type handlers struct {
	mu  sync.Mutex
	ran []string
}

func (h *handlers) run(_ context.Context, c host.Command) (int, error) {
	input, err := io.ReadAll(c.Stdin)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ran = append(h.ran, strings.Join(c.Args, " ")+" < "+strings.TrimSpace(string(input)))
	return 0, err
}

func (h *handlers) took() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ran := h.ran
	h.ran = nil
	return ran
}

// with is a machine that runs commands.
func (w world) with(i int, h *handlers) machine {
	m := w.machine(i)
	m.Host = w.net.HostWith(fmt.Sprintf("m%d", i), m.addr, m.disk, hosttest.Commands(h.run))
	return m
}

const watchedKey = `watches = [{ type = "key", key = "k", args = ["on-change"] }]`

func TestAWatchOfTheConfigurationRunsItsHandlerOnlyWhenSomethingChanged(t *testing.T) {
	inWorld(t, func(w world) {
		var ran handlers
		m := w.with(1, &ran)
		m.file("/etc/a.hcl", watchedKey)
		a := m.startFrom("/etc/a.hcl")
		m.ready(a)
		m.want(a, "PUT", "/v1/kv/k", "one", "true")
		w.eventually(time.Minute, func() error {
			if got := ran.took(); len(got) == 0 || !strings.Contains(got[len(got)-1], `"Value":"b25l"`) {
				return fmt.Errorf("it ran: %q", got)
			}
			return nil
		})
		w.must(m.client(a).Agent().Reload())
		m.want(a, "PUT", "/v1/kv/other", "x", "true")
		w.close(a)
		a = m.startFrom("/etc/a.hcl")
		m.ready(a)
		time.Sleep(time.Minute)
		if got := ran.took(); len(got) != 0 {
			w.Errorf("nothing changed, and it ran: %q", got)
		}
		m.want(a, "PUT", "/v1/kv/k", "two", "true")
		time.Sleep(time.Second)
		if got := ran.took(); len(got) != 1 || !strings.HasPrefix(got[0], "on-change < ") {
			w.Errorf("it ran: %q", got)
		}
		m.file("/etc/a.hcl", "")
		w.must(m.client(a).Agent().Reload())
		m.want(a, "PUT", "/v1/kv/k", "three", "true")
		time.Sleep(time.Second)
		if got := ran.took(); len(got) != 0 {
			w.Errorf("the watch was taken away, and it ran: %q", got)
		}
		m.file("/etc/a.hcl", `watches = [{ type = "key" }]`)
		if err := m.client(a).Agent().Reload(); err == nil || !strings.Contains(err.Error(), "watches: number 1") {
			w.Error(err)
		}
		w.close(a)
	})
}

// slowHost takes its time to open the file of what watches saw.
type slowHost struct{ host.Host }

func (h slowHost) FS() host.FS { return slowFS{h.Host.FS()} }

type slowFS struct{ host.FS }

func (f slowFS) OpenFile(name string, flag int, perm fs.FileMode) (host.File, error) {
	if path.Base(name) == "watches.json" {
		time.Sleep(time.Second)
	}
	return f.FS.OpenFile(name, flag, perm)
}

func TestAReloadThatComesWhileTheAgentStartsIsDone(t *testing.T) {
	inWorld(t, func(w world) {
		var ran handlers
		m := w.with(1, &ran)
		m.Host = slowHost{m.Host}
		m.file("/etc/a.hcl", watchedKey)
		c, err := capi.NewClient(&capi.Config{Address: m.addr.String() + ":8500", HttpClient: &http.Client{Transport: &http.Transport{DialContext: m.Network().Dial, DisableKeepAlives: true}}})
		w.must(err)
		reloaded := make(chan error)
		go func() {
			err := c.Agent().Reload()
			for ; errors.Is(err, syscall.ECONNREFUSED); err = c.Agent().Reload() {
				time.Sleep(time.Millisecond)
			}
			reloaded <- err
		}()
		a := m.startFrom("/etc/a.hcl")
		if err := <-reloaded; err != nil {
			w.Error(err)
		}
		m.ready(a)
		m.want(a, "PUT", "/v1/kv/k", "one", "true")
		time.Sleep(time.Minute)
		if got := ran.took(); len(got) == 0 || !strings.Contains(got[len(got)-1], `"Value":"b25l"`) {
			w.Errorf("it ran: %q", got)
		}
		w.close(a)
	})
}

func TestAnEventReachesTheAgentsThatItIsMeantFor(t *testing.T) {
	inWorld(t, func(w world) {
		machines, servers := w.servers(1)
		m := w.machine(9)
		a := m.start(joined(1, false))
		m.ready(a)
		w.must(m.client(a).Agent().ServiceRegister(&capi.AgentServiceRegistration{Name: "web", Tags: []string{"v1"}}))
		listed := func(of machine, c *capi.Client) string {
			events, _, err := c.Event().List("", nil)
			w.must(err)
			var names []string
			for _, e := range events {
				names = append(names, e.Name+"="+string(e.Payload))
			}
			return strings.Join(names, " ")
		}
		server, client := machines[0].client(servers[0]), m.client(a)
		for _, e := range []*capi.UserEvent{
			{Name: "all", Payload: []byte("1")}, {Name: "node", NodeFilter: "^m1$"}, {Name: "service", ServiceFilter: "web", TagFilter: "v1"}, {Name: "none", ServiceFilter: "web", TagFilter: "v2"},
		} {
			if _, _, err := client.Event().Fire(e, nil); err != nil {
				w.Error(err)
			}
			time.Sleep(2 * time.Second)
		}
		if got := listed(machines[0], server); got != "all=1 node=" {
			w.Errorf("the server: %s", got)
		}
		if got := listed(m, client); got != "all=1 service=" {
			w.Errorf("the client: %s", got)
		}
		w.close(a)
		w.close(servers[0])
	})
}
