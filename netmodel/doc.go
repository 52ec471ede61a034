// Package netmodel holds pure models of networks: distributions of latency,
// processes of loss, matrices of real round-trip times. A model draws from the
// generator it is given, and from nothing else; it knows neither the agent nor the
// simulator, and no time passes in it.
package netmodel

import "time"

// A Link is one direction between two hosts.
type Link struct {
	// Latency of a packet, one way.
	Latency Dist
	// Loss of packets.
	Loss Loss
	// Bandwidth in bits per second; 0 is unlimited.
	Bandwidth int64
}

// Model tells what lies between two hosts that are named.
type Model interface {
	// Name is how the model is called in scenarios.
	Name() string
	// Link returns the direction from one host to another.
	Link(from, to string) Link
}

// Uniform is a model in which all links are alike.
type Uniform struct {
	Called string
	Each   Link
}

// Name implements Model.
func (u Uniform) Name() string { return u.Called }

// Link implements Model.
func (u Uniform) Link(string, string) Link { return u.Each }

// Altered is a model whose links are changed.
type Altered struct {
	Model
	Change func(Link) Link
}

// Link implements Model.
func (a Altered) Link(from, to string) Link { return a.Change(a.Model.Link(from, to)) }

// LAN is a datacenter's network: a quarter of a millisecond one way in the
// median, and 0.9 ms or more for one packet in a thousand.
func LAN() Model {
	return Uniform{"lan", Link{Latency: LogNormal(250*time.Microsecond, 0.4), Bandwidth: 10e9}}
}

// WAN is a network between places on one continent: 40 ms one way in the
// median, and one packet in a thousand lost.
func WAN() Model {
	return Uniform{"wan", Link{Latency: LogNormal(40*time.Millisecond, 0.15), Loss: Bernoulli(0.001), Bandwidth: 1e9}}
}
