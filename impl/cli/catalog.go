package cli

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	capi "github.com/hashicorp/consul/api"
)

// pairs is a flag that may be given many times, as KEY=VALUE.
type pairs map[string]string

// String implements flag.Value.
func (p pairs) String() string { return written(p) }

// Set implements flag.Value.
func (p pairs) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not KEY=VALUE", text)
	}
	p[key] = value
	return nil
}

// written shows a map as Consul does, sorted.
func written(m map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, key+"="+m[key])
	}
	return strings.Join(list, ", ")
}

func catalogDatacentersVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Lists all known datacenters",
		about:    "Lists the datacenters that the agent knows.",
		flags: func(_ *flag.FlagSet, c *call) func([]string) error {
			return func(args []string) error {
				client, err := c.noArguments(args)
				if err != nil {
					return err
				}
				list, err := client.Catalog().Datacenters()
				if err != nil {
					return fmt.Errorf("listing datacenters: %w", err)
				}
				for _, name := range list {
					fmt.Fprintln(c.Stdout, name)
				}
				return nil
			}
		},
	}
}

// noArguments returns the client of a verb that takes only options.
func (c *call) noArguments(args []string) (*capi.Client, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("too many arguments (expected 0, got %d)", len(args))
	}
	return c.client()
}

func catalogNodesVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Lists all nodes in the given datacenter",
		about:    "Lists the nodes of the catalog, or those that have a service.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			detailed := f.Bool("detailed", false, "show whole IDs, tagged addresses and metadata")
			filter := f.String("filter", "", "show only nodes that fulfil the `EXPRESSION`; - stands for the standard input, @FILE for a file")
			near := f.String("near", "", "sort by the distance from this `NODE`; _agent is the agent's own")
			service := f.String("service", "", "show only nodes with this `SERVICE`")
			meta := pairs{}
			f.Var(meta, "node-meta", "show only nodes with this metadata, `KEY=VALUE`; may be given many times")
			return func(args []string) error {
				client, err := c.noArguments(args)
				if err != nil {
					return err
				}
				expression, err := c.data([]string{*filter}, false)
				if err != nil {
					return fmt.Errorf("could not process filter argument: %w", err)
				}
				nodes, err := nodes(client, *service, &capi.QueryOptions{AllowStale: c.stale, Filter: string(expression), Near: *near, NodeMeta: meta})
				if err != nil {
					return fmt.Errorf("listing nodes: %w", err)
				}
				return c.printNodes(nodes, *detailed)
			}
		},
	}
}

func nodes(client *capi.Client, service string, o *capi.QueryOptions) ([]*capi.Node, error) {
	if service == "" {
		list, _, err := client.Catalog().Nodes(o)
		return list, err
	}
	instances, _, err := client.Catalog().Service(service, "", o)
	var list []*capi.Node
	seen := map[string]bool{}
	for _, i := range instances {
		if seen[i.Node] {
			continue
		}
		seen[i.Node] = true
		list = append(list, &capi.Node{ID: i.ID, Node: i.Node, Address: i.Address, Datacenter: i.Datacenter, TaggedAddresses: i.TaggedAddresses, Meta: i.NodeMeta})
	}
	return list, err
}

func (c *call) printNodes(nodes []*capi.Node, detailed bool) error {
	if len(nodes) == 0 {
		_, err := fmt.Fprintln(c.Stderr, "No nodes match the given query - try expanding your search.")
		return err
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 8, 2, ' ', 0)
	if detailed {
		fmt.Fprintln(w, "Node\tID\tAddress\tDC\tTaggedAddresses\tMeta")
	} else {
		fmt.Fprintln(w, "Node\tID\tAddress\tDC")
	}
	for _, n := range nodes {
		if detailed {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Node, n.ID, n.Address, n.Datacenter, written(n.TaggedAddresses), written(n.Meta))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Node, n.ID[:min(len(n.ID), 8)], n.Address, n.Datacenter)
	}
	return w.Flush()
}

func catalogServicesVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Lists all registered services in a datacenter",
		about:    "Lists the services of the catalog, or those of one node.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			node := f.String("node", "", "show only services of the `NODE` with this name or ID")
			tags := f.Bool("tags", false, "show the tags of each service")
			meta := pairs{}
			f.Var(meta, "node-meta", "show only services on nodes with this metadata, `KEY=VALUE`; may be given many times")
			return func(args []string) error {
				client, err := c.noArguments(args)
				if err != nil {
					return err
				}
				services, err := services(client, *node, &capi.QueryOptions{AllowStale: c.stale, NodeMeta: meta})
				if err != nil {
					return fmt.Errorf("listing services: %w", err)
				}
				return c.printServices(services, *tags)
			}
		},
	}
}

func services(client *capi.Client, node string, o *capi.QueryOptions) (map[string][]string, error) {
	if node == "" {
		list, _, err := client.Catalog().Services(o)
		return list, err
	}
	found, _, err := client.Catalog().Node(node, o)
	list := map[string][]string{}
	if found == nil {
		return list, err
	}
	for _, s := range found.Services {
		list[s.Service] = append(list[s.Service], s.Tags...)
	}
	return list, err
}

func (c *call) printServices(services map[string][]string, tags bool) error {
	if len(services) == 0 {
		_, err := fmt.Fprintln(c.Stderr, "No services match the given query - try expanding your search.")
		return err
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 2, 6, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if !tags {
			fmt.Fprintln(w, name)
			continue
		}
		list := slices.Compact(slices.Sorted(slices.Values(services[name])))
		fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(list, ","))
	}
	return w.Flush()
}
