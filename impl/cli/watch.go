package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"tribune/impl/host"
	"tribune/impl/logging"
	"tribune/impl/watch"
)

// texts is a flag that may be given many times.
type texts []string

func (t *texts) String() string { return strings.Join(*t, ",") }

// Set implements flag.Value.
func (t *texts) Set(text string) error {
	*t = append(*t, text)
	return nil
}

func watchVerb() verb {
	return verb{
		usage:    "[options] [HANDLER...]",
		synopsis: "Watches for changes in the cluster",
		about: "Prints as JSON what -type names; or, with a HANDLER, runs that command with the JSON\n" +
			"on its standard input, at once and whenever it changes, until it fails. CONSUL_INDEX\n" +
			"is its index, CONSUL_PREVIOUS_INDEX that of what the handler was given before. When a\n" +
			"signal asks tribune to stop, a HANDLER that runs is told to stop (SIGTERM) and killed\n" +
			"after 5 seconds, or at a second signal.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			params := map[string]*string{
				"type":        f.String("type", "", "`TYPE` to watch: key, keyprefix, services, nodes, service, checks or event"),
				"key":         f.String("key", "", "`KEY` to watch, for -type=key"),
				"prefix":      f.String("prefix", "", "`PREFIX` of the keys to watch, for -type=keyprefix"),
				"service":     f.String("service", "", "`NAME` of the service to watch, for -type=service, and for -type=checks"),
				"passingonly": f.String("passingonly", "", "`true` to watch only instances whose checks pass, for -type=service"),
				"state":       f.String("state", "", "`STATE` of the checks to watch, for -type=checks"),
				"name":        f.String("name", "", "`NAME` of the events to watch, for -type=event"),
				"filter":      f.String("filter", "", "`EXPRESSION` that what is watched must fulfil"),
			}
			var tags texts
			f.Var(&tags, "tag", "`TAG` that instances must have, for -type=service; may be given many times")
			inShell := f.Bool("shell", true, "run HANDLER in a shell, $SHELL or /bin/sh")
			return func(args []string) error {
				settings := map[string]any{}
				for name, value := range params {
					if *value != "" {
						settings[name] = *value
					}
				}
				if *params["passingonly"] != "" {
					only, err := strconv.ParseBool(*params["passingonly"])
					if err != nil {
						return fmt.Errorf("-passingonly: %q is neither true nor false", *params["passingonly"])
					}
					settings["passingonly"] = only
				}
				if len(tags) > 0 {
					settings["tag"] = []string(tags)
				}
				if c.stale {
					settings["stale"] = true
				}
				if len(args) > 0 && *inShell {
					args = shell(strings.Join(args, " "))
				}
				return c.watch(settings, args)
			}
		},
	}
}

func (c *call) watch(settings map[string]any, handler []string) error {
	var w *watch.Watch
	query, err := watch.ParseQuery(settings)
	if err == nil && len(handler) > 0 {
		settings["args"] = handler
		w, err = watch.Parse(settings)
	}
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if _, err := client.Agent().NodeName(); err != nil { // a watch itself would try for ever
		return fmt.Errorf("querying agent: %w", err)
	}
	ctx, hurried, release := c.Stops(context.Background())
	defer release()
	err = query.Follow(ctx, *c.config(), watch.Seen{}, slog.New(logging.Handler(c.Stderr, slog.LevelInfo)), func(change watch.Change) error {
		if w == nil {
			return c.show(change)
		}
		err := w.Handle(ctx, c.Host, change, host.Command{Stdout: c.Stdout, Stderr: c.Stderr, Hurry: hurried.Done(), Terminal: true})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("executing handler: %w", err)
		}
		return nil
	})
	if errors.Is(err, errShown) {
		return nil
	}
	return err
}

// errShown ends a watch that has shown what there is.
var errShown = errors.New("shown")

// show prints a change for a person to read.
func (c *call) show(change watch.Change) error {
	var b bytes.Buffer
	if err := json.Indent(&b, change.Data, "", "    "); err != nil {
		return err
	}
	_, err := b.WriteTo(c.Stdout)
	return errors.Join(err, errShown)
}
