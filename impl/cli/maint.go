package cli

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func maintVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Controls node or service maintenance mode",
		about:    "Puts the agent's node, or a service of the agent, out of use or in use again: while\nin maintenance it is shown as critical. Without -enable and -disable, tells what is\nin maintenance.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			enable := f.Bool("enable", false, "enter maintenance")
			disable := f.Bool("disable", false, "leave maintenance")
			reason := f.String("reason", "", "`TEXT` for people, with -enable")
			service := f.String("service", "", "`ID` of the service; default: the node")
			return func(args []string) error {
				switch {
				case len(args) > 0:
					return fmt.Errorf("too many arguments (expected 0, got %d)", len(args))
				case *enable && *disable:
					return errors.New("only one of -enable or -disable may be provided")
				case !*enable && *reason != "":
					return errors.New("reason may only be provided with -enable")
				case !*enable && !*disable && *service != "":
					return errors.New("service requires either -enable or -disable")
				case !*enable && !*disable:
					return c.maintained()
				}
				return c.maint(*service, *enable, *reason)
			}
		},
	}
}

// maint has the agent's node, or a service, enter or leave maintenance.
func (c *call) maint(service string, enable bool, reason string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	agent, did := client.Agent(), "disabled"
	if enable {
		did = "enabled"
	}
	switch {
	case service != "" && enable:
		err = agent.EnableServiceMaintenance(service, reason)
	case service != "":
		err = agent.DisableServiceMaintenance(service)
	case enable:
		err = agent.EnableNodeMaintenance(reason)
	default:
		err = agent.DisableNodeMaintenance()
	}
	if err != nil {
		return fmt.Errorf("changing maintenance: %w", err)
	}
	if service != "" {
		_, err = fmt.Fprintf(c.Stdout, "Service maintenance is now %s for %q\n", did, service)
	} else {
		_, err = fmt.Fprintf(c.Stdout, "Node maintenance is now %s\n", did)
	}
	return err
}

// The checks by which maintenance is known.
const (
	nodeMaintenance    = "_node_maintenance"
	serviceMaintenance = "_service_maintenance:" // and the service's ID
)

// maintained prints what is in maintenance.
func (c *call) maintained() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	checks, err := client.Agent().Checks()
	if err != nil {
		return fmt.Errorf("querying agent: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(checks)) {
		k := checks[id]
		if id == nodeMaintenance {
			fmt.Fprintf(c.Stdout, "Node:\n  Name:   %s\n  Reason: %s\n\n", k.Node, k.Notes)
		} else if strings.HasPrefix(id, serviceMaintenance) {
			fmt.Fprintf(c.Stdout, "Service:\n  ID:     %s\n  Reason: %s\n\n", k.ServiceID, k.Notes)
		}
	}
	return nil
}
