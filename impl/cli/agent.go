package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"tribune/impl/agent"
	"tribune/impl/config"
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

func (c *call) runAgent(args []string) error {
	settings, err := config.Load(c.Host.FS(), args)
	if err != nil {
		return err
	}
	level, _ := config.ParseLevel(settings.LogLevel) // validated
	log := slog.New(logging.Handler(c.Stdout, level))
	ctx, signal := c.Signals(context.Background())
	fmt.Fprintln(c.Stdout, "==> Starting Tribune agent...")
	a, err := agent.New(ctx, settings, c.Host, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it had started
		}
		return err
	}
	s := a.Config()
	fmt.Fprintf(c.Stdout, "               Version: '%s'\n", agent.Version)
	fmt.Fprintf(c.Stdout, "               Node ID: '%s'\n", s.NodeID)
	fmt.Fprintf(c.Stdout, "             Node name: '%s'\n", s.NodeName)
	fmt.Fprintf(c.Stdout, "            Datacenter: '%s'\n", s.Datacenter)
	fmt.Fprintf(c.Stdout, "                Server: %t (Bootstrap: %t)\n", s.Server, s.Bootstrap || s.BootstrapExpect == 1)
	fmt.Fprintf(c.Stdout, "           Client Addr: %s (HTTP: %d)\n", s.ClientAddr, s.Ports.HTTP)
	fmt.Fprintf(c.Stdout, "          Cluster Addr: %s (Server: %d, LAN: %d)\n\n", a.Server().Advertise(), s.Ports.Server, s.Ports.SerfLAN)
	fmt.Fprintln(c.Stdout, "==> Log data will now stream in as it occurs:")
	return c.attend(ctx, a, s, signal)
}

// attend runs the agent until a signal, and has it leave first if the signal
// and the settings ask for that.
func (c *call) attend(ctx context.Context, a *agent.Agent, s config.Config, signal func() Signal) error {
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
