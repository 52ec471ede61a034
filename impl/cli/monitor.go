package cli

import (
	"errors"
	"flag"
	"fmt"

	capi "github.com/hashicorp/consul/api"
)

func monitorVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Streams logs from an agent",
		about:    "Prints what a running agent logs from now on, at a level of its own, until it is\nstopped.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			level := f.String("log-level", "INFO", "`LEVEL`: trace, debug, info, warn or err")
			asJSON := f.Bool("log-json", false, "print log lines as JSON")
			return func(args []string) error {
				if len(args) > 0 {
					return fmt.Errorf("too many arguments (expected 0, got %d)", len(args))
				}
				return c.monitor(*level, *asJSON)
			}
		},
	}
}

func (c *call) monitor(level string, asJSON bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx := c.stopped()
	begin := client.Agent().Monitor
	if asJSON {
		begin = client.Agent().MonitorJSON
	}
	ended := make(chan struct{})
	lines, err := begin(level, ended, (&capi.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("starting monitor: %w", err)
	}
	defer func() {
		close(ended)
		for range lines { // until the client has seen that
		}
	}()
	for line := range lines {
		if line == "" { // the client's word for the end
			break
		}
		fmt.Fprintln(c.Stdout, line)
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("remote side ended the monitor: this usually means that it exited or crashed")
}
