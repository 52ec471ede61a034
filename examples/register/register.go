// Package register is a small service with a bug: one value, kept by a primary and
// a backup. It is here to be found out; register_test.go shows how.
//
// Whoever is primary answers reads and writes, and hands each write to the other
// node before it answers. A backup that hears nothing of the primary for a while
// takes its place, under a higher epoch; whoever hears of a higher epoch than its
// own becomes backup. And a primary whose backup does not answer goes on alone:
// that is the bug. A node that cannot be reached is taken for one that is dead, so
// when the network between the two is cut, both are primary.
package register

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tribune/impl/host"
)

const (
	port   = "7000"
	beat   = 100 * time.Millisecond // between two questions of a backup
	answer = 200 * time.Millisecond // that the other node has for its answer
	dead   = 500 * time.Millisecond // of silence
)

// State is what a node knows.
type State struct {
	Epoch   int // counts the primaries
	Primary string
	Value   string
}

// Node is one of the two.
type Node struct {
	name, other string
	client      *http.Client

	mu    sync.Mutex
	state State
	heard time.Time // when the primary was last heard of
}

// Run runs a node on a host until ctx ends. The node called first begins as primary.
func Run(ctx context.Context, h host.Host, log *slog.Logger, name, other, first string) error {
	n := &Node{
		name: name, other: other, heard: time.Now(), state: State{Epoch: 1, Primary: first},
		client: &http.Client{Timeout: answer, Transport: &http.Transport{DialContext: h.Network().Dial}},
	}
	l, err := h.Network().Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /value", n.read)
	mux.HandleFunc("PUT /value", n.write)
	mux.HandleFunc("POST /state", n.learn)
	server := &http.Server{Handler: mux}
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { n.watch(ctx, log) })
	wait.Go(func() {
		<-ctx.Done()
		_ = server.Close()
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (n *Node) read(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.respond(w)
}

// write stores a value, hands it to the backup, and answers.
func (n *Node) write(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state.Primary == n.name {
		n.state.Value = r.URL.Query().Get("v")
		_ = n.tell(r.Context()) // the bug: a backup that does not answer is taken for dead
	}
	n.respond(w)
}

// respond sends the state, or says that somebody else is primary.
func (n *Node) respond(w http.ResponseWriter) {
	if n.state.Primary != n.name {
		http.Error(w, "not primary", http.StatusMisdirectedRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(n.state) // who asked will see that it is not there
}

// tell hands the state to the other node, and takes what that knows better.
func (n *Node) tell(ctx context.Context) error {
	b, err := json.Marshal(n.state)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s:%s/state", n.other, port), bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := n.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	var theirs State
	if err := json.NewDecoder(resp.Body).Decode(&theirs); err != nil {
		return err
	}
	if theirs.Epoch > n.state.Epoch {
		n.state = theirs
	}
	n.heard = time.Now()
	return nil
}

// learn takes what the other node knows, if that is newer, and answers with what
// this one knows. It does not wait for the lock: two nodes that tell each other
// at once would wait for each other.
func (n *Node) learn(w http.ResponseWriter, r *http.Request) {
	var theirs State
	if err := json.NewDecoder(r.Body).Decode(&theirs); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !n.mu.TryLock() {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	defer n.mu.Unlock()
	if theirs.Epoch > n.state.Epoch || theirs.Epoch == n.state.Epoch && theirs.Primary != n.name {
		n.state, n.heard = theirs, time.Now()
	}
	_ = json.NewEncoder(w).Encode(n.state) // who told will see that it is not there
}

// watch lets the primary show that it lives, and the backup take over when it
// does not.
func (n *Node) watch(ctx context.Context, log *slog.Logger) {
	for t := time.Tick(beat); ; {
		select {
		case <-ctx.Done():
			return
		case <-t:
		}
		n.mu.Lock()
		switch {
		case n.state.Primary == n.name:
			_ = n.tell(ctx) // the next beat comes soon
		case time.Since(n.heard) > dead:
			n.state.Epoch, n.state.Primary = n.state.Epoch+1, n.name
			log.Info("takes over", "epoch", n.state.Epoch)
		}
		n.mu.Unlock()
	}
}
