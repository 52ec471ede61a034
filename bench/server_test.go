package bench_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// server is a real server process on loopback.
type server struct{ client *api.Client }

func startServer(b *testing.B, binary string) server {
	b.Helper()
	var ports []any
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		_ = l.Close() // the server takes it
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "fast.hcl")
	if err := os.WriteFile(config, []byte("performance { raft_multiplier = 1 }\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(binary, "agent", "-server", "-bootstrap-expect", "1", "-bind", "127.0.0.1", "-data-dir", filepath.Join(dir, "data"),
		"-log-level", "error", "-config-file", config, "-http-port", fmt.Sprint(ports[0]), "-server-port", fmt.Sprint(ports[1]), "-serf-lan-port", fmt.Sprint(ports[2]))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()         // says that it was killed
	})
	c := api.DefaultConfig()
	c.Address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	client, err := api.NewClient(c)
	if err != nil {
		b.Fatal(err)
	}
	s := server{client}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = s.put("ready", nil); err == nil {
			return s
		}
		if time.Now().After(end) {
			b.Fatal(err)
		}
	}
}

func (s server) put(key string, value []byte) error {
	_, err := s.client.KV().Put(&api.KVPair{Key: key, Value: value}, nil)
	return err
}
