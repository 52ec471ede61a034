package cli

import (
	"flag"
	"fmt"
)

func reloadVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Triggers the agent to reload configuration files",
		about:    "Has a running agent read its configuration files again.",
		flags: func(_ *flag.FlagSet, c *call) func([]string) error {
			return func(args []string) error {
				client, err := c.noArguments(args)
				if err != nil {
					return err
				}
				if err := client.Agent().Reload(); err != nil {
					return fmt.Errorf("reloading: %w", err)
				}
				_, err = fmt.Fprintln(c.Stdout, "Configuration reload triggered")
				return err
			}
		},
	}
}
