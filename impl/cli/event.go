package cli

import (
	"errors"
	"flag"
	"fmt"
	"regexp"

	capi "github.com/hashicorp/consul/api"
)

func eventVerb() verb {
	return verb{
		usage:    "[options] -name NAME [PAYLOAD]",
		synopsis: "Fires a new event",
		about:    "Fires an event to all agents of the datacenter, or to those that the expressions\nchoose. Name and payload together have room for some 400 bytes.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			var ev capi.UserEvent
			f.StringVar(&ev.Name, "name", "", "`NAME` of the event")
			f.StringVar(&ev.NodeFilter, "node", "", "regular `EXPRESSION`: only agents with such a name")
			f.StringVar(&ev.ServiceFilter, "service", "", "regular `EXPRESSION`: only agents with such a service")
			f.StringVar(&ev.TagFilter, "tag", "", "regular `EXPRESSION`: with -service, only if it has such a tag")
			return func(args []string) error {
				if len(args) > 1 {
					return fmt.Errorf("too many arguments (expected 1, got %d)", len(args))
				}
				if len(args) == 1 {
					ev.Payload = []byte(args[0])
				}
				return c.event(&ev)
			}
		},
	}
}

func (c *call) event(ev *capi.UserEvent) error {
	if ev.Name == "" {
		return errors.New("event name is required")
	}
	if err := checkFilters(ev.NodeFilter, ev.ServiceFilter, ev.TagFilter); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	id, _, err := client.Event().Fire(ev, nil)
	if err != nil {
		return fmt.Errorf("firing event: %w", err)
	}
	_, err = fmt.Fprintf(c.Stdout, "Event ID: %s\n", id)
	return err
}

// checkFilters reports what is wrong with the filters of an event.
func checkFilters(node, service, tag string) error {
	for _, f := range []struct{ what, expression string }{{"node", node}, {"service", service}, {"tag", tag}} {
		if _, err := regexp.Compile(f.expression); err != nil {
			return fmt.Errorf("failed to compile %s filter expression: %w", f.what, err)
		}
	}
	if tag != "" && service == "" {
		return errors.New("cannot provide tag filter without service filter")
	}
	return nil
}
