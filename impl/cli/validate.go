package cli

import (
	"flag"
	"fmt"

	"tribune/impl/agent"
	"tribune/impl/config"
)

func validateVerb() verb {
	return verb{
		usage:    "[options] FILE-OR-DIRECTORY...",
		synopsis: "Validate config files/directories",
		about:    "Reads configuration files and directories as an agent would and says what is wrong\nwith them, definitions of services and checks included. The exit status is 0 if\nan agent could run with them.",
		local:    true,
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			format := f.String("config-format", "", "`FORMAT` of all files, json or hcl, whatever their names are")
			quiet := f.Bool("quiet", false, "print nothing if all is well")
			return func(args []string) error { return c.validate(args, *format, *quiet) }
		},
	}
}

func (c *call) validate(names []string, format string, quiet bool) error {
	if len(names) == 0 {
		return fmt.Errorf("must specify at least one config file or directory")
	}
	var args []string
	if format != "" {
		args = append(args, "-config-format", format)
	}
	for _, name := range names {
		args = append(args, "-config-file", name)
	}
	settings, err := config.Load(c.Host.FS(), args)
	if err == nil {
		err = settings.Expand(c.Host.Network())
	}
	if err == nil {
		err = agent.Validate(settings)
	}
	if err != nil {
		return fmt.Errorf("config validation failed: %w", err)
	}
	if quiet {
		return nil
	}
	for _, w := range settings.Warnings {
		fmt.Fprintf(c.Stdout, "Warning: %s\n", w)
	}
	_, err = fmt.Fprintln(c.Stdout, "Configuration is valid!")
	return err
}
