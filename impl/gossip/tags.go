package gossip

import (
	"fmt"
	"net"

	"tribune/impl/api"
)

// The tags that every agent has, in Consul's words.
const (
	tagRole       = "role"
	tagDatacenter = "dc"
	tagPort       = "port" // of a server: its server port

	roleServer = "consul"
	roleClient = "node"
)

// Tags are what every agent says about itself; port is a server's server port,
// "" for a client agent.
func Tags(datacenter, id, build, port string) map[string]string {
	tags := map[string]string{tagRole: roleClient, tagDatacenter: datacenter, "id": id, "build": build, "vsn": "2", "vsn_min": "2", "vsn_max": "3"}
	if port != "" {
		tags[tagRole], tags[tagPort] = roleServer, port
	}
	return tags
}

// ServerAddress returns the address of the server port of a member that is a
// server of a datacenter.
func ServerAddress(m api.Member, datacenter string) (address string, ok bool) {
	if m.Tags[tagRole] != roleServer || m.Tags[tagDatacenter] != datacenter || m.Tags["id"] == "" || m.Tags[tagPort] == "" {
		return "", false
	}
	return net.JoinHostPort(m.Addr, m.Tags[tagPort]), true
}

// Only is a Config.Admit that refuses agents of other datacenters.
func Only(datacenter string) func(api.Member) error {
	return func(m api.Member) error {
		if dc := m.Tags[tagDatacenter]; dc != datacenter {
			return fmt.Errorf("member '%s' part of wrong datacenter '%s'", m.Name, dc)
		}
		return nil
	}
}
