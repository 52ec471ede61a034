package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"tribune/sim/detrt"
)

func libraryCanaries() []canary {
	return []canary{{"raft", consensus}, {"http", web}}
}

// fsm is a raft state machine that keeps what it applies.
type fsm struct {
	mu   sync.Mutex
	data []string
}

func (f *fsm) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data = append(f.data, string(l.Data))
	return len(f.data)
}
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) { return nil, raft.ErrNothingNewToSnapshot }
func (f *fsm) Restore(r io.ReadCloser) error       { return r.Close() }

// consensus runs five hashicorp/raft servers, each a node, for two minutes of
// virtual time; the leader is killed twice.
func consensus(out io.Writer) {
	const n = 5
	nodes, rafts, states := make([]*detrt.Node, n), make([]*raft.Raft, n), make([]*fsm, n)
	transports := make([]*raft.InmemTransport, n)
	var servers []raft.Server
	for i := range n {
		id := fmt.Sprint("s", i)
		_, transports[i] = raft.NewInmemTransport(raft.ServerAddress(id))
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	for i, t := range transports {
		for j, other := range transports {
			if i != j {
				t.Connect(servers[j].Address, other)
			}
		}
		nodes[i], states[i] = detrt.NewNode(string(servers[i].ID), uint64(i)), &fsm{}
		nodes[i].Go(func() {
			cfg := raft.DefaultConfig()
			cfg.LocalID = servers[i].ID
			cfg.Logger = hclog.New(&hclog.LoggerOptions{Name: "raft", Output: out, Level: hclog.Info})
			store := raft.NewInmemStore()
			snaps := raft.NewInmemSnapshotStore()
			if err := raft.BootstrapCluster(cfg, store, store, snaps, t, raft.Configuration{Servers: servers}); err != nil {
				fmt.Fprintln(out, err)
			}
			r, err := raft.NewRaft(cfg, states[i], store, store, snaps, t)
			if err != nil {
				fmt.Fprintln(out, err)
				return
			}
			rafts[i] = r
			for k := 0; ; k++ {
				time.Sleep(100 * time.Millisecond)
				if r.State() == raft.Leader {
					err := r.Apply(fmt.Append(nil, i, ".", k), time.Second).Error()
					if err != nil {
						fmt.Fprintln(out, err)
					}
				}
			}
		})
	}
	for range 2 {
		time.Sleep(time.Minute)
		for i, r := range rafts {
			if r.State() == raft.Leader {
				nodes[i].Freeze()
				for j, t := range transports {
					t.Disconnect(servers[i].Address)
					transports[i].Disconnect(servers[j].Address)
				}
				rafts[i] = &raft.Raft{}
				break
			}
		}
	}
	for _, f := range states {
		fmt.Fprintln(out, len(f.data), f.data)
	}
}

// pipes is a listener whose connections are pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return &net.TCPAddr{} }

// web serves HTTP/2 over TLS, with keys made in the run.
func web(out io.Writer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Fprintln(out, err)
		return
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		fmt.Fprintln(out, err)
		return
	}
	p := make(pipes)
	srv := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Millisecond)
			_, _ = fmt.Fprintln(w, r.Proto, r.URL, w.Header())
		}),
	}
	go func() { _ = srv.ServeTLS(p, "", "") }()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			a, b := net.Pipe()
			p <- b
			return a, nil
		},
	}}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				resp, err := client.Get(fmt.Sprintf("https://x/%d/%d", i, j))
				if err != nil {
					fmt.Fprintln(out, err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				fmt.Fprintf(out, "%s %v %v", b, err, resp.Header)
			}
		})
	}
	wg.Wait()
}
