package cli

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"
)

func rttVerb() verb {
	return verb{
		usage:    "[options] NODE [NODE]",
		synopsis: "Estimates the network round trip time between nodes",
		about:    "Estimates the round trip time between two nodes, or between one and the agent's\nown, from their network coordinates: nothing is sent to them. With -wan the names\nare those of servers, followed by a dot and the datacenter.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			wan := f.Bool("wan", false, "use the coordinates of the servers of all datacenters")
			return func(args []string) error {
				if len(args) < 1 || len(args) > 2 {
					return errors.New("one or two node names must be specified")
				}
				return c.rtt(args, *wan)
			}
		},
	}
}

func (c *call) rtt(nodes []string, wan bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if len(nodes) == 1 {
		own, err := ownName(client, wan)
		if err != nil {
			return fmt.Errorf("unable to look up agent info: %w", err)
		}
		nodes = append(nodes, own)
	}
	known, kind := lanPlaces, "LAN"
	if wan {
		known, kind = wanPlaces, "WAN"
		for _, name := range nodes {
			if strings.Count(name, ".") != 1 {
				return errors.New("node names must be specified as <node name>.<datacenter> with -wan")
			}
		}
	}
	places, err := known(client, c.query())
	if err != nil {
		return fmt.Errorf("error getting coordinates: %w", err)
	}
	a, b := places[strings.ToLower(nodes[0])], places[strings.ToLower(nodes[1])]
	for i, found := range []map[string]*coordinate.Coordinate{a, b} {
		if len(found) == 0 {
			return fmt.Errorf("could not find a coordinate for node %q", nodes[i])
		}
	}
	for _, area := range slices.Sorted(maps.Keys(a)) {
		if at, to := a[area], b[area]; to != nil && at.IsCompatibleWith(to) {
			_, err := fmt.Fprintf(c.Stdout, "Estimated %s <-> %s rtt: %.3f ms (using %s coordinates)\n", nodes[0], nodes[1], at.DistanceTo(to).Seconds()*1000, kind)
			return err
		}
	}
	return fmt.Errorf("the coordinates of %q and %q cannot be compared", nodes[0], nodes[1])
}

// ownName is the name of the agent's node.
func ownName(client *capi.Client, wan bool) (string, error) {
	self, err := client.Agent().Self()
	if err != nil {
		return "", err
	}
	name := fmt.Sprint(self["Config"]["NodeName"])
	if wan {
		name += fmt.Sprint(".", self["Config"]["Datacenter"])
	}
	return name, nil
}

// places are the coordinates by node, in lower case, and by what makes them
// comparable: a segment or an area.
type places map[string]map[string]*coordinate.Coordinate

func (p places) add(node, area string, at *coordinate.Coordinate) {
	if at == nil {
		return
	}
	node = strings.ToLower(node)
	if p[node] == nil {
		p[node] = map[string]*coordinate.Coordinate{}
	}
	p[node][area] = at
}

func lanPlaces(client *capi.Client, o *capi.QueryOptions) (places, error) {
	list, _, err := client.Coordinate().Nodes(o)
	found := places{}
	for _, e := range list {
		found.add(e.Node, e.Segment, e.Coord)
	}
	return found, err
}

func wanPlaces(client *capi.Client, _ *capi.QueryOptions) (places, error) {
	list, err := client.Coordinate().Datacenters()
	found := places{}
	for _, dc := range list {
		for _, e := range dc.Coordinates {
			found.add(e.Node+"."+dc.Datacenter, dc.AreaID, e.Coord)
		}
	}
	return found, err
}
