package cli

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
)

func versionVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Prints the version",
		about:    "Prints the version of this program.",
		local:    true,
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			format := f.String("format", "pretty", "`FORMAT` of the output: pretty or json")
			return func([]string) error {
				switch *format {
				case "pretty":
					_, err := fmt.Fprintf(c.Stdout, "Tribune v%s\nProtocol 2 spoken by default, understands 2 to 3 (Consul's)\nGo %s\n", agent.Version, runtime.Version())
					return err
				case "json":
					v := struct {
						Version, Revision, Prerelease, BuildDate string
						RPC                                      struct{ Default, Min, Max int }
					}{Version: agent.Version}
					v.RPC.Default, v.RPC.Min, v.RPC.Max = 2, 2, 3
					b, err := json.MarshalIndent(v, "", "    ")
					fmt.Fprintln(c.Stdout, string(b))
					return err
				}
				return fmt.Errorf("-format: %q is neither pretty nor json", *format)
			}
		},
	}
}

func membersVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Lists the members of a cluster",
		about:    "Lists the agents that this agent's gossip pool knows, those that failed too.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			detailed := f.Bool("detailed", false, "show all tags")
			pattern := f.String("status", ".*", "show only members whose status matches the regular `EXPRESSION`")
			o := capi.MembersOpts{Segment: capi.AllSegments}
			f.BoolVar(&o.WAN, "wan", false, "show the servers of all datacenters")
			f.StringVar(&o.Filter, "filter", "", "show only members that fulfil the `EXPRESSION`")
			return func([]string) error { return c.members(o, *detailed, *pattern) }
		},
	}
}

func (c *call) members(o capi.MembersOpts, detailed bool, pattern string) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("compiling the status expression: %w", err)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	list, err := client.Agent().MembersOpts(o)
	if err != nil {
		return fmt.Errorf("retrieving members: %w", err)
	}
	list = slices.DeleteFunc(list, func(m *capi.AgentMember) bool { return !match.MatchString(memberStatus(m.Status)) })
	if len(list) == 0 {
		return status(2)
	}
	slices.SortFunc(list, func(a, b *capi.AgentMember) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	w := tabwriter.NewWriter(c.Stdout, 0, 8, 2, ' ', 0)
	if detailed {
		fmt.Fprintln(w, "Node\tAddress\tStatus\tTags")
	} else {
		fmt.Fprintln(w, "Node\tAddress\tStatus\tType\tBuild\tProtocol\tDC\tPartition\tSegment")
	}
	for _, m := range list {
		address := net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port)))
		if detailed {
			var tags []string
			for k, v := range m.Tags {
				tags = append(tags, k+"="+v)
			}
			sort.Strings(tags)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Name, address, memberStatus(m.Status), strings.Join(tags, ","))
			continue
		}
		kind, segment := "client", "<default>"
		if rank(m) == 0 {
			kind, segment = "server", "<all>"
		}
		build, _, _ := strings.Cut(m.Tags["build"], ":")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\tdefault\t%s\n", m.Name, address, memberStatus(m.Status), kind, build, m.Tags["vsn"], m.Tags["dc"], segment)
	}
	return w.Flush()
}

// rank puts servers before clients.
func rank(m *capi.AgentMember) int {
	if m.Tags["role"] == "consul" {
		return 0
	}
	return 1
}

func memberStatus(s int) string {
	names := []string{"none", "alive", "leaving", "left", "failed"}
	if s < 0 || s >= len(names) {
		return fmt.Sprint(s)
	}
	return names[s]
}

func joinVerb() verb {
	return verb{
		usage:    "[options] ADDRESS...",
		synopsis: "Tells the agent to join a cluster",
		about:    "Tells a running agent to join the cluster of at least one of the addresses.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			wan := f.Bool("wan", false, "join the servers of another datacenter")
			return func(args []string) error {
				if len(args) == 0 {
					return fmt.Errorf("at least one address to join must be specified")
				}
				return c.join(args, *wan)
			}
		},
	}
}

func (c *call) join(addresses []string, wan bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	joined := 0
	for _, a := range addresses {
		if err := client.Agent().Join(a, wan); err != nil {
			fmt.Fprintf(c.Stderr, "Error joining address '%s': %v\n", a, err)
			continue
		}
		joined++
	}
	if joined == 0 {
		return fmt.Errorf("failed to join any nodes")
	}
	fmt.Fprintf(c.Stdout, "Successfully joined cluster by contacting %d nodes.\n", joined)
	return nil
}

func leaveVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Gracefully leaves the cluster and shuts down",
		about:    "Has the agent leave the cluster for good and stop.",
		flags: func(_ *flag.FlagSet, c *call) func([]string) error {
			return func(args []string) error {
				client, err := c.noArguments(args)
				if err != nil {
					return err
				}
				if err := client.Agent().Leave(); err != nil {
					return fmt.Errorf("leaving: %w", err)
				}
				fmt.Fprintln(c.Stdout, "Graceful leave complete")
				return nil
			}
		},
	}
}

func forceLeaveVerb() verb {
	return verb{
		usage:    "[options] NODE",
		synopsis: "Forces a member of the cluster to enter the \"left\" state",
		about:    "Moves a member that failed to \"left\", so that nobody waits for it. A member that\nis alive will join again.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			prune := f.Bool("prune", false, "forget the member altogether")
			return func(args []string) error {
				if len(args) != 1 {
					return fmt.Errorf("a single node name must be specified to force leave")
				}
				client, err := c.client()
				if err != nil {
					return err
				}
				if *prune {
					err = client.Agent().ForceLeavePrune(args[0])
				} else {
					err = client.Agent().ForceLeave(args[0])
				}
				if err != nil {
					return fmt.Errorf("force leaving: %w", err)
				}
				return nil
			}
		},
	}
}

func infoVerb() verb {
	return verb{
		usage:    "[options]",
		synopsis: "Provides debugging information for operators",
		about:    "Prints figures about the agent, its raft group and its gossip pool.",
		flags: func(_ *flag.FlagSet, c *call) func([]string) error {
			return func([]string) error { return c.info() }
		},
	}
}

func (c *call) info() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	self, err := client.Agent().Self()
	if err != nil {
		return fmt.Errorf("querying agent: %w", err)
	}
	stats := self["Stats"]
	var sections []string
	for name := range stats {
		sections = append(sections, name)
	}
	sort.Strings(sections)
	for _, name := range sections {
		fmt.Fprintf(c.Stdout, "%s:\n", name)
		figures, ok := stats[name].(map[string]any)
		if !ok {
			continue
		}
		var keys []string
		for k := range figures {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			fmt.Fprintf(c.Stdout, "\t%s = %v\n", k, figures[k])
		}
	}
	return nil
}
