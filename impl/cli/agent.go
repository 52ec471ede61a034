package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/impl/logging"
)

func agentVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Runs an agent",
		about:    "Starts an agent and runs until an interrupt is received. The agent is a member\nof a cluster and serves the HTTP API.",
		local:    true,
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			// For -h: the same flags as config.Load takes.
			config.Flags(f)
			return c.runAgent
		},
	}
}

func (c *call) runAgent(args []string) (err error) {
	if c.OutliveReaders != nil {
		c.OutliveReaders()
	}
	settings, err := config.Load(c.Host.FS(), args)
	if err != nil {
		return err
	}
	if settings.Dev && settings.DataDir == "" {
		settings.DataDir = filepath.Join(os.TempDir(), fmt.Sprintf("tribune-dev-%016x", rand.Uint64()))
		defer func() { err = errors.Join(err, c.Host.FS().RemoveAll(settings.DataDir)) }()
	}
	out := &gate{to: c.Stdout}
	defer out.open()
	var to io.Writer = out
	if settings.LogFile.Name != "" {
		file, err := openLogFile(c.Host.FS(), settings.LogFile, out)
		if err != nil {
			return fmt.Errorf("log_file: %w", err)
		}
		defer func() { _ = file.Close() }() // nobody is left who could be told
		to = file
	}
	log := slog.New(logging.Handler(to, logging.Trace))
	if settings.LogJSON {
		log = slog.New(logging.JSON(to, logging.Trace))
		c.Stdout = io.Discard // who reads JSON can read nothing else; the log has its writer
	}
	for _, w := range settings.Warnings {
		log.Warn(w)
	}
	ctx, signal := c.Signals(context.Background())
	var hangups <-chan struct{} // nil: never
	if c.Hangups != nil {
		hangups = c.Hangups() // before the start, which SIGHUP would end
	}
	fmt.Fprintln(c.Stdout, "==> Starting Tribune agent...")
	a, err := agent.New(ctx, settings, c.Host, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it had started
		}
		return err
	}
	s := a.Config()
	if s.PIDFile != "" {
		if err := writePID(c.Host.FS(), s.PIDFile); err != nil {
			return errors.Join(fmt.Errorf("pid_file: %w", err), a.Close())
		}
		defer func() {
			if err := c.Host.FS().Remove(s.PIDFile); err != nil {
				log.Warn("the pid_file cannot be removed", "error", err)
			}
		}()
	}
	c.announce(a, s)
	out.open()
	return c.attend(ctx, a, s, signal, hangups)
}

// announce says what was started.
func (c *call) announce(a *agent.Agent, s config.Config) {
	fmt.Fprintf(c.Stdout, "               Version: '%s'\n", agent.Version)
	fmt.Fprintf(c.Stdout, "               Node ID: '%s'\n", s.NodeID)
	fmt.Fprintf(c.Stdout, "             Node name: '%s'\n", s.NodeName)
	fmt.Fprintf(c.Stdout, "            Datacenter: '%s'\n", s.Datacenter)
	fmt.Fprintf(c.Stdout, "                Server: %t (Bootstrap: %t)\n", s.Server, s.Bootstrap || s.BootstrapExpect == 1)
	fmt.Fprintf(c.Stdout, "           Client Addr: %s (HTTP: %d, DNS: %d)\n", s.ClientAddr, s.Ports.HTTP, s.Ports.DNS)
	fmt.Fprintf(c.Stdout, "          Cluster Addr: %s (Server: %d, LAN: %d)\n\n", a.Advertise(), s.Ports.Server, s.Ports.SerfLAN)
	fmt.Fprintln(c.Stdout, "==> Log data will now stream in as it occurs:")
}

// writePID says in a file which process this is, to whoever may read it. It may be a
// file that was made for that in a directory where the agent may make none.
func writePID(fsys host.FS, name string) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return errors.Join(err, f.Close())
}

// gate holds back what is written to it until it is open, so that the log of the
// start comes after the lines that say what was started.
type gate struct {
	mu     sync.Mutex
	to     io.Writer
	isOpen bool
	held   bytes.Buffer
}

// Write implements io.Writer.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOpen {
		return g.to.Write(b)
	}
	return g.held.Write(b)
}

// open lets through what was held back, and all that comes.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = true
	_, _ = g.held.WriteTo(g.to) // nobody could be told
}

// attend runs the agent until a signal, and has it leave first if the signal
// and the settings ask for that.
func (c *call) attend(ctx context.Context, a *agent.Agent, s config.Config, signal func() Signal, hangups <-chan struct{}) error {
	watching, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { c.reloadOn(watching, hangups, a) })
	defer wait.Wait()
	defer cancel()
	err := a.Wait(ctx)
	got := signal()
	if got == Interrupt && !s.Leave.SkipOnInterrupt || got == Terminate && s.Leave.OnTerminate {
		fmt.Fprintln(c.Stdout, "==> Gracefully leaving the cluster...")
		err = errors.Join(err, a.Leave(context.WithoutCancel(ctx)))
	}
	err = errors.Join(err, a.Close())
	if err == nil {
		fmt.Fprintln(c.Stdout, "==> Stopped.")
	}
	return err
}

// reloadOn has the agent load its configuration anew whenever it is asked to. A
// configuration that makes no sense changes nothing.
func (c *call) reloadOn(ctx context.Context, hangups <-chan struct{}, a *agent.Agent) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		fmt.Fprintln(c.Stdout, "==> Reloading configuration...")
		_ = a.Reload() // the log has it
	}
}
