package watch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/host"
)

// Config says for whom an engine watches.
type Config struct {
	Host    host.Host
	Address string // of the agent's own HTTP API
	Token   string // for watches that have none; may be empty
	File    string // where it is kept what handlers saw, in a directory that exists; "" to keep nothing
	Logger  *slog.Logger
}

// Engine runs the watches of an agent.
type Engine struct {
	config    Config
	transport *http.Transport // to the agent itself
	memory    memory

	setting sync.Mutex // one Set or Close after the other
	running map[string]*running
	closed  bool
}

// running is a watch that is followed.
type running struct {
	stop context.CancelFunc
	done chan struct{}
}

// New returns an engine without watches, which remembers what handlers saw when the
// agent last ran.
func New(c Config) *Engine {
	e := &Engine{
		config: c, transport: &http.Transport{DialContext: c.Host.Network().Dial},
		memory: memory{fs: c.Host.FS(), file: c.File}, running: map[string]*running{},
	}
	if err := e.memory.load(); err != nil {
		c.Logger.Warn("it is not known what watches saw; all handlers will run", "error", err)
	}
	return e
}

// Set makes these the watches of the agent, at its start and after a reload: those
// that were there go on undisturbed, others stop, and new ones begin. It returns when
// those that had to have stopped, and handlers that ran have ended or were killed.
func (e *Engine) Set(watches []*Watch) {
	e.setting.Lock()
	defer e.setting.Unlock()
	if e.closed {
		return
	}
	ids, keep := make([]string, len(watches)), map[string]bool{}
	for i, w := range watches {
		ids[i] = w.id
		for n := 2; keep[ids[i]]; n++ { // the same once more
			ids[i] = fmt.Sprintf("%s-%d", w.id, n)
		}
		keep[ids[i]] = true
	}
	e.stop(keep)
	if err := e.memory.forget(keep); err != nil {
		e.config.Logger.Warn("what watches saw that are no more could not be forgotten", "error", err)
	}
	for i, w := range watches {
		if e.running[ids[i]] == nil {
			e.start(ids[i], w)
		}
	}
}

// Close stops all watches and returns when they have stopped.
func (e *Engine) Close() {
	e.setting.Lock()
	defer e.setting.Unlock()
	e.closed = true
	e.stop(nil)
	e.transport.CloseIdleConnections()
}

// stop stops the watches that are not in keep, all at once, and waits for them.
func (e *Engine) stop(keep map[string]bool) {
	var stopped []string
	for _, id := range slices.Sorted(maps.Keys(e.running)) {
		if !keep[id] {
			stopped = append(stopped, id)
			e.running[id].stop()
		}
	}
	for _, id := range stopped {
		<-e.running[id].done
		delete(e.running, id)
	}
}

func (e *Engine) start(id string, w *Watch) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan struct{})}
	e.running[id] = r
	log := e.config.Logger.With("watch", w.kind)
	go func() {
		defer close(r.done)
		q := *w.Query
		q.token = "" // self has it
		c := capi.Config{
			Address: e.config.Address, Scheme: "http", Token: byTransport,
			HttpClient: &http.Client{Transport: self{token: cmp.Or(w.token, e.config.Token), next: e.transport}},
		}
		err := q.Follow(ctx, c, e.memory.last(id), log, func(c Change) error {
			e.handle(ctx, id, w, c, log)
			return nil
		})
		if err != nil {
			log.Error("a watch has ended", "error", err)
		}
	}()
}

// self sends requests to the agent itself, with a token or none. Consul's client, which
// makes them, adds what the environment says, as is right for a person's commands: a
// namespace, another scheme, a token, a file with one. An agent's watches are those of
// its configuration alone.
type self struct {
	token string
	next  http.RoundTripper
}

// byTransport is a token that self replaces. With none the client would look for one in
// the environment.
const byTransport = "set by the transport"

// RoundTrip implements http.RoundTripper.
func (s self) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	q := r.URL.Query()
	q.Del("ns")
	q.Del("partition")
	r.URL.RawQuery = q.Encode()
	r.Header.Del("X-Consul-Token")
	if s.token != "" {
		r.Header.Set("X-Consul-Token", s.token)
	}
	return s.next.RoundTrip(r)
}

// maxOutput is the most bytes of a handler's output that are kept, for the log.
const maxOutput = 4096

// head keeps the beginning of what is written to it.
type head []byte

// Write implements io.Writer.
func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), maxOutput-len(*h))]...)
	return len(b), nil
}

// handle runs a handler, and keeps what it saw unless it was stopped half-way.
func (e *Engine) handle(ctx context.Context, id string, w *Watch, c Change, log *slog.Logger) {
	var out head
	err := w.Handle(ctx, e.config.Host, c, host.Command{Stdout: &out, Stderr: &out})
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		log.Error("a watch's handler failed", "error", err, "output", string(out))
	default:
		log.Debug("a watch's handler ran", "index", c.Index, "output", string(out))
	}
	if err := e.memory.put(id, c.Seen); err != nil {
		log.Error("what a watch saw could not be kept; its handler may run again after a restart", "error", err)
	}
}
