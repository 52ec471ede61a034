package cli_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tribune/impl/cli"
	"tribune/impl/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var rewrite = flag.Bool("rewrite", false, "write what the verbs print into testdata")

// fake is an agent's HTTP API that remembers what it was asked and answers what
// a test tells it to.
type fake struct {
	answers []string // a status and a body each; none: 200
	asked   []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + r.URL.RequestURI()
	if token := r.Header.Get("X-Consul-Token"); token != "" {
		line += " as " + token
	}
	if body, _ := io.ReadAll(r.Body); len(body) > 0 { // a client that goes away mid-way is none of ours
		line += " " + string(body)
	}
	f.asked = append(f.asked, line)
	status, body := http.StatusOK, ""
	if len(f.answers) > 0 {
		text, rest, _ := strings.Cut(f.answers[0], " ")
		if _, err := fmt.Sscan(text, &status); err != nil {
			panic(fmt.Sprintf("the answer %q begins with no status", f.answers[0]))
		}
		body, f.answers = rest, f.answers[1:]
	}
	w.Header().Set("X-Consul-Index", "7")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// use is one use of the command line and what must come of it.
type use struct {
	line    string // split at spaces; '' is an empty argument
	stdin   string
	answers []string
	asked   []string // of the agent
	status  int
	stdout  string // "@NAME": what the file in testdata holds
	stderr  string // contained
}

func (u use) check(t *testing.T) {
	t.Helper()
	agent := &fake{answers: u.answers}
	server := httptest.NewServer(agent)
	t.Setenv("CONSUL_HTTP_ADDR", server.URL)
	args := strings.Fields(strings.ReplaceAll(u.line, "SERVER", server.URL))
	for i := range args {
		if args[i] == "''" {
			args[i] = ""
		}
	}
	var stdout, stderr bytes.Buffer
	status := cli.Run(cli.Env{Host: host.Real(), Stdin: strings.NewReader(u.stdin), Stdout: &stdout, Stderr: &stderr, Signals: noSignal, Stops: noStop}, args)
	server.CloseClientConnections()
	server.Close()
	if status != u.status {
		t.Errorf("tribune %s: status %d, want %d", u.line, status, u.status)
	}
	if !slices.Equal(agent.asked, u.asked) {
		t.Errorf("tribune %s asked\n%q\nwant\n%q", u.line, agent.asked, u.asked)
	}
	if want := u.printed(t, stdout.String()); stdout.String() != want {
		t.Errorf("tribune %s printed\n%s\nwant\n%s", u.line, stdout.String(), want)
	}
	if !strings.Contains(stderr.String(), u.stderr) || u.stderr == "" && stderr.Len() > 0 {
		t.Errorf("tribune %s complained\n%s\nwant\n%s", u.line, stderr.String(), u.stderr)
	}
}

// printed is what must be printed.
func (u use) printed(t *testing.T, got string) string {
	t.Helper()
	name, golden := strings.CutPrefix(u.stdout, "@")
	if !golden {
		return u.stdout
	}
	name = filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(want)
}

// noSignal is Env.Signals of a process that nobody stops.
func noSignal(ctx context.Context) (context.Context, func() cli.Signal) {
	return ctx, func() cli.Signal { return cli.None }
}

// noStop is Env.Stops of such a process.
func noStop(ctx context.Context) (stopped, hurried context.Context, release func()) {
	return ctx, ctx, func() {}
}

func checkAll(t *testing.T, uses []use) {
	for _, u := range uses {
		t.Run(u.line, u.check)
	}
}

func TestEveryVerbTakesTheFlagsOfTheClient(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", "from-the-environment")
	one := []string{`200 [{"Key":"a","Value":"MQ=="}]`}
	checkAll(t, []use{
		{line: "kv get a", answers: one, asked: []string{"GET /v1/kv/a as from-the-environment"}, stdout: "1\n"},
		{line: "kv get -token=mine -datacenter dc2 -stale a", answers: one, asked: []string{"GET /v1/kv/a?dc=dc2&stale= as mine"}, stdout: "1\n"},
		{line: "members -token mine", asked: []string{"GET /v1/agent/members?segment=_all as mine"}, answers: []string{"200 []"}, status: 2},
		{line: "kv get -http-addr 127.0.0.1:1 a", status: 1, stderr: "Error! Querying agent: "},
		{line: "kv get -http-addr SERVER a", answers: one, asked: []string{"GET /v1/kv/a as from-the-environment"}, stdout: "1\n"},
		{line: "kv get -token-file testdata/token -token mine a", answers: one, asked: []string{"GET /v1/kv/a as from-a-file"}, stdout: "1\n"},
		{line: "kv get -token-file testdata/none a", status: 1, stderr: "Error loading token file testdata/none"},
		{line: "kv get -nonsense a", status: 1, stderr: "flag provided but not defined: -nonsense\n\nRun 'tribune kv get -h' for its options."},
	})
}

func TestHelpIsNoError(t *testing.T) {
	for _, c := range []struct {
		line   string
		status int
		want   []string
	}{
		{"-h", 0, []string{"Usage: tribune", "force-leave", "members", "kv", "agent"}},
		{"", 127, []string{"Usage: tribune"}},
		{"nonsense", 127, []string{"Usage: tribune"}},
		{"kv", 1, []string{"Usage: tribune kv <subcommand>", "get", "put", "delete", "export", "import"}},
		{"kv get -h", 0, []string{"Usage: tribune kv get [options] KEY_OR_PREFIX", "-recurse", "-separator TEXT", "-http-addr ADDRESS"}},
		{"agent -h", 0, []string{"Usage: tribune agent", "-data-dir STRING", "-retry-join ADDRESS", "-config-file FILE"}},
		{"-v", 0, []string{"0.1.0"}},
	} {
		var out bytes.Buffer
		status := cli.Run(cli.Env{Host: host.Real(), Stdout: &out, Stderr: &out}, strings.Fields(c.line))
		if status != c.status {
			t.Errorf("tribune %s: status %d, want %d", c.line, status, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("tribune %s printed\n%s\nwithout %s", c.line, out.String(), want)
			}
		}
	}
}

// tlsFiles writes the certificate of a server for tests, which is its own authority, and
// its key.
func tlsFiles(t *testing.T, server *httptest.Server) (cert, key string) {
	t.Helper()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestAnAgentIsReachedOverTLSAsTheFlagsOrTheEnvironmentSay has a server that wants its
// clients' certificate, too.
func TestAnAgentIsReachedOverTLSAsTheFlagsOrTheEnvironmentSay(t *testing.T) {
	server := httptest.NewUnstartedServer(&fake{})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	defer server.CloseClientConnections()
	cert, key := tlsFiles(t, server)
	for _, c := range []struct {
		name, flags, env string
		status           int
	}{
		{"all as flags", "-ca-file CERT -client-cert CERT -client-key KEY -tls-server-name example.com", "", 0},
		{"a directory", "-ca-path DIR -client-cert CERT -client-key KEY", "", 0},
		{"all in the environment", "", "CONSUL_CACERT=CERT CONSUL_CLIENT_CERT=CERT CONSUL_CLIENT_KEY=KEY CONSUL_TLS_SERVER_NAME=example.com", 0},
		{"flags go before the environment", "-ca-file CERT -client-cert CERT -client-key KEY", "CONSUL_CACERT=/none", 0},
		{"another name", "-ca-file CERT -client-cert CERT -client-key KEY -tls-server-name other.org", "", 1},
		{"an unknown authority", "-client-cert CERT -client-key KEY", "", 1},
		{"no certificate", "-ca-file CERT", "", 1},
		{"no file", "-ca-file /none", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			fill := strings.NewReplacer("CERT", cert, "KEY", key, "DIR", filepath.Dir(cert)).Replace
			for _, pair := range strings.Fields(c.env) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, fill(value))
			}
			args := append([]string{"reload", "-http-addr", server.URL}, strings.Fields(fill(c.flags))...)
			var stdout, stderr bytes.Buffer
			status := cli.Run(cli.Env{Host: host.Real(), Stdout: &stdout, Stderr: &stderr, Signals: noSignal}, args)
			if status != c.status {
				t.Errorf("status %d\n%s%s", status, stdout.String(), stderr.String())
			}
		})
	}
}

func TestAnAgentIsReachedAtASocketOfItsMachine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "http.sock")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	agent := &fake{answers: []string{`200 [{"Key":"a","Value":"MQ=="}]`}}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: agent}}
	server.Start()
	defer server.Close()
	defer server.CloseClientConnections()
	var stdout, stderr bytes.Buffer
	status := cli.Run(cli.Env{Host: host.Real(), Stdout: &stdout, Stderr: &stderr, Signals: noSignal}, []string{"kv", "get", "-http-addr", "unix://" + name, "a"})
	if status != 0 || stdout.String() != "1\n" {
		t.Errorf("status %d, %s%s", status, stdout.String(), stderr.String())
	}
}
