package agent

import (
	"maps"
	"net/netip"

	"tribune/impl/api"
	"tribune/impl/check"
	"tribune/impl/config"
	"tribune/impl/fault"
	"tribune/impl/host"
	"tribune/impl/local"
)

// nodeMeta is the metadata of an agent's node, with Consul's names for what every
// agent has.
func nodeMeta(c *config.Config) map[string]string {
	meta := map[string]string{"consul-network-segment": "", "consul-version": Version}
	maps.Copy(meta, c.NodeMeta)
	return meta
}

// describe is this agent's node as the catalog shall have it, with Consul's names
// for addresses.
func (a *Agent) describe(address netip.Addr) api.Node {
	c, family := a.config, "ipv4"
	if address.Is6() {
		family = "ipv6"
	}
	at := address.String()
	return api.Node{
		ID: c.NodeID, Node: c.NodeName, Address: at, Datacenter: c.Datacenter, Meta: nodeMeta(c),
		TaggedAddresses: map[string]string{"lan": at, "lan_" + family: at, "wan": at, "wan_" + family: at},
	}
}

// register takes up what is registered with this agent and keeps the catalog in
// line with it.
func (a *Agent) register(h host.Host, address netip.Addr) error {
	c := a.config
	a.local = local.New(local.Config{
		Node: a.describe(address), FS: h.FS(), Dir: c.DataDir, Catalog: a.brain, Members: func() int { return len(a.brain.Members()) }, Token: func() string { return a.tokens.get(tokenDefault) },
		Logger: a.log, OutputDelay: c.Probing.OutputInterval, DiscardOutput: c.Probing.DiscardOutput,
	})
	return a.local.Start(a.prober(h), definitions(c))
}

func definitions(c *config.Config) local.Definitions {
	return local.Definitions{Services: c.Services, Checks: c.Checks}
}

// prober makes the checks of this agent.
type prober struct {
	check.Config
	remoteScripts bool // also those that the API registers may be scripts
}

// Validate implements local.Prober.
func (p prober) Validate(d api.CheckDefinition, filed bool) error {
	if len(d.ScriptArgs) > 0 && p.Scripts && !p.remoteScripts && !filed {
		return fault.New(fault.Invalid, "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true")
	}
	return p.Config.Validate(d)
}

// Start implements local.Prober.
func (p prober) Start(d api.CheckDefinition) (local.Probe, error) { return p.Config.Start(d) }

func (a *Agent) prober(h host.Host) local.Prober {
	c := a.config.Probing
	return prober{remoteScripts: c.Scripts, Config: check.Config{
		Node: a.config.NodeName, Network: h.Network(), Exec: h.Exec(), Local: a.local, Catalog: a.brain, Sink: a.local,
		Scripts: c.Scripts || c.LocalScripts, OutputMaxSize: c.OutputMaxSize, Logger: a.log,
	}}
}
