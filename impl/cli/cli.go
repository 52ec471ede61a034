// Package cli is the command line of tribune: Consul's verbs, flags, outputs
// and exit codes (Consul documentation: Commands). Each verb has its file. All
// but `agent`, `validate` and `version` talk to an agent's HTTP API with Consul's official
// client, so CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN and the like are honoured.
package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/cli"
	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/host"
)

// Env is what a command reaches of the process it runs in.
type Env struct {
	Host           host.Host
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Signals returns a context that ends at the first signal to stop; the
	// function tells whether that signal asks the agent to leave first, given
	// its settings for SIGINT and SIGTERM.
	Signals func(ctx context.Context) (stopped context.Context, signal func() Signal)
	// Stops is Signals for verbs that run a command: the first context ends at the first
	// signal to stop, SIGHUP and SIGQUIT among them, the second at the second. After
	// release signals do what they do to a process that does not expect them.
	Stops func(ctx context.Context) (stopped, hurried context.Context, release func())
	// Hangups returns a channel that receives when the configuration is to be
	// loaded anew (SIGHUP), at least once for all that came since the call and was
	// not received yet; nil if nobody can ask for that so.
	Hangups func() <-chan struct{}
	// OutliveReaders has writing to Stdout and Stderr fail when nobody reads them any
	// more, instead of ending the process (SIGPIPE): an agent goes on without those who
	// read its log. nil if that never ends it.
	OutliveReaders func()
}

// Signal is a signal that stops an agent.
type Signal int

// The signals.
const (
	None Signal = iota
	Interrupt
	Terminate
)

// Run runs a command line and returns the process's exit status.
func Run(env Env, args []string) int {
	c := cli.NewCLI("tribune", agent.Version)
	c.Args = args
	c.HelpWriter = env.Stdout
	c.ErrorWriter = env.Stderr
	c.Commands = map[string]cli.CommandFactory{}
	for name, run := range commands() {
		c.Commands[name] = func() (cli.Command, error) { return &command{env: env, name: name, verb: run}, nil }
	}
	status, err := c.Run()
	if err != nil {
		fmt.Fprintf(env.Stderr, "Error executing CLI: %v\n", err)
		return 1
	}
	return status
}

// verb is one command: its texts, and how it runs.
type verb struct {
	usage    string // after "tribune NAME"
	synopsis string
	about    string
	// flags defines the verb's flags and returns what to do with the arguments
	// that are left. nil for a verb that only has others beneath it.
	flags func(f *flag.FlagSet, c *call) func(args []string) error
	local bool // does not talk to an agent
}

func commands() map[string]verb {
	return map[string]verb{
		"agent":       agentVerb(),
		"members":     membersVerb(),
		"join":        joinVerb(),
		"leave":       leaveVerb(),
		"force-leave": forceLeaveVerb(),
		"info":        infoVerb(),
		"rtt":         rttVerb(),
		"version":     versionVerb(),
		"validate":    validateVerb(),
		"watch":       watchVerb(),
		"event":       eventVerb(),
		"exec":        execVerb(),
		"lock":        lockVerb(),
		"maint":       maintVerb(),
		"monitor":     monitorVerb(),
		"reload":      reloadVerb(),
		"services":    servicesVerb(),
		"catalog":     {usage: "<subcommand> [options] [args]", synopsis: "Interact with the catalog", about: "Lists what the catalog holds: datacenters, nodes and services."},
		"kv":          {usage: "<subcommand> [options] [args]", synopsis: "Interact with the key-value store", about: "Reads, writes, deletes, exports and imports entries of the key-value store."},
		"kv get":      kvGetVerb(),
		"kv put":      kvPutVerb(),
		"kv delete":   kvDeleteVerb(),
		"kv export":   kvExportVerb(),
		"kv import":   kvImportVerb(),

		"catalog datacenters": catalogDatacentersVerb(),
		"catalog nodes":       catalogNodesVerb(),
		"catalog services":    catalogServicesVerb(),
		"services register":   servicesRegisterVerb(),
		"services deregister": servicesDeregisterVerb(),
	}
}

// call is one run of a verb.
type call struct {
	Env
	config func() *capi.Config
	stale  bool
}

// dialTimeout is how long the agent may take to accept a connection, as with Consul's
// own client; the kernel waits two minutes.
const dialTimeout = 30 * time.Second

// client is Consul's client of the agent that the flags and the environment name.
func (c *call) client() (*capi.Client, error) { return capi.NewClient(c.config()) }

// stopped returns a context that ends when a signal asks the process to stop.
func (c *call) stopped() context.Context {
	ctx, _ := c.Signals(context.Background())
	return ctx
}

// shell is a command that runs a line in the person's shell.
func shell(line string) []string {
	sh := os.Getenv("SHELL")
	if sh == "" {
		sh = "/bin/sh"
	}
	return []string{sh, "-c", line}
}

// status is an error that stands for an exit status after the message, if any,
// has been printed.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// command makes a cli.Command of a verb.
type command struct {
	env  Env
	name string
	verb verb
}

func (c *command) Synopsis() string { return c.verb.synopsis }

func (c *command) Help() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Usage: tribune %s %s\n\n  %s\n", c.name, c.verb.usage, strings.ReplaceAll(c.verb.about, "\n", "\n  "))
	if c.verb.flags != nil {
		f, _, _ := c.prepare()
		f.SetOutput(&b)
		fmt.Fprint(&b, "\nOptions\n\n")
		f.PrintDefaults()
	}
	// What a flag takes is named once, unless the sentence is about it.
	return strings.TrimRight(regexp.MustCompile(`(?m)^(    \t)[A-Z]+: `).ReplaceAllString(b.String(), "$1"), "\n")
}

func (c *command) prepare() (*flag.FlagSet, *call, func([]string) error) {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	k := &call{Env: c.env}
	if !c.verb.local {
		f.BoolVar(&k.stale, "stale", false, "let any server answer, with what it has")
		given := clientFlags(f)
		k.config = func() *capi.Config {
			config := capi.DefaultConfig() // what the environment says
			config.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, dialTimeout)
				defer cancel()
				return c.env.Host.Network().Dial(ctx, network, address)
			}
			for name, to := range targets(config) {
				if text := *given[name]; text != "" {
					*to = text
				}
			}
			return config
		}
	}
	return f, k, c.verb.flags(f, k)
}

// clientFlags defines the flags that say how to reach an agent, and returns what they
// are set to.
func clientFlags(f *flag.FlagSet) map[string]*string {
	return map[string]*string{
		"http-addr":       f.String("http-addr", "", "`ADDRESS` of the agent's HTTP API, with http://, https:// or unix:// in front of it if need be; default: CONSUL_HTTP_ADDR, or 127.0.0.1:8500"),
		"token":           f.String("token", "", "ACL `TOKEN`; default: CONSUL_HTTP_TOKEN"),
		"token-file":      f.String("token-file", "", "`FILE` with the ACL token, which goes before -token; default: CONSUL_HTTP_TOKEN_FILE"),
		"datacenter":      f.String("datacenter", "", "`NAME` of the datacenter to ask; default: the agent's"),
		"ca-file":         f.String("ca-file", "", "`FILE` with certificates of authorities that may vouch for the agent; default: CONSUL_CACERT"),
		"ca-path":         f.String("ca-path", "", "`DIR` with such files; default: CONSUL_CAPATH"),
		"client-cert":     f.String("client-cert", "", "`FILE` with the certificate to show to the agent; default: CONSUL_CLIENT_CERT"),
		"client-key":      f.String("client-key", "", "`FILE` with the key to -client-cert; default: CONSUL_CLIENT_KEY"),
		"tls-server-name": f.String("tls-server-name", "", "`NAME` that the agent's certificate must be for; default: CONSUL_TLS_SERVER_NAME"),
	}
}

// targets are what these flags set.
func targets(c *capi.Config) map[string]*string {
	return map[string]*string{
		"http-addr": &c.Address, "token": &c.Token, "token-file": &c.TokenFile, "datacenter": &c.Datacenter,
		"ca-file": &c.TLSConfig.CAFile, "ca-path": &c.TLSConfig.CAPath, "client-cert": &c.TLSConfig.CertFile,
		"client-key": &c.TLSConfig.KeyFile, "tls-server-name": &c.TLSConfig.Address,
	}
}

// Run implements cli.Command.
func (c *command) Run(args []string) int {
	if c.verb.flags == nil {
		return cli.RunResultHelp
	}
	f, _, run := c.prepare()
	if c.name == "agent" {
		// Its flags are those of package config, which parses them itself.
		return c.finish(run(args))
	}
	if err := f.Parse(args); err != nil {
		fmt.Fprintf(c.env.Stderr, "%v\n\nRun 'tribune %s -h' for its options.\n", err, c.name)
		return 1
	}
	return c.finish(run(f.Args()))
}

func (c *command) finish(err error) int {
	if err == nil {
		return 0
	}
	if s, ok := err.(status); ok {
		return int(s)
	}
	text := err.Error()
	if !c.verb.local { // these are sentences in Consul's documentation
		first, size := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	fmt.Fprintf(c.env.Stderr, "Error! %s\n", text)
	return 1
}

// query are the options of a read.
func (c *call) query() *capi.QueryOptions { return &capi.QueryOptions{AllowStale: c.stale} }
