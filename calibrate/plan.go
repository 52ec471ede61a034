//go:build linux

package main

import (
	"fmt"
	"time"

	"tribune/netmodel"
)

// Plan is a cluster on links of one kind, and how often each thing is measured on
// it.
type Plan struct {
	Name   string
	Link   Link
	Counts map[Measurement]int
}

// Link is what lies between any two machines, one way: a normal distribution of
// the delay, and independent loss.
type Link struct {
	Delay, Jitter time.Duration
	Loss          float64 // probability
}

// model is the link in terms of netmodel.
func (l Link) model() netmodel.Link {
	return netmodel.Link{Latency: netmodel.Normal(l.Delay, l.Jitter), Loss: netmodel.Bernoulli(l.Loss)}
}

func (l Link) String() string {
	text := fmt.Sprintf("%v ± %v", l.Delay, l.Jitter)
	if l.Delay == 0 {
		text = "no delay"
	}
	return fmt.Sprintf("%s, %g %% loss", text, 100*l.Loss)
}

// Measurement is something that is measured.
type Measurement string

// The measurements.
const (
	// Ask is a request that the leader answers by itself.
	Ask Measurement = "ask"
	// Put is a write of a small value, asked of the leader.
	Put Measurement = "put"
	// Get is a consistent read, asked of the leader.
	Get Measurement = "get"
	// Bulk is a read of a large value, asked of the leader after some silence.
	Bulk Measurement = "bulk"
	// Election is the time from the end of a leader's process until another server
	// says that it leads.
	Election Measurement = "election"
	// Detection is the time from the end of a client agent's process until the
	// catalog says that it is critical.
	Detection Measurement = "detection"
)

// phases lists the measurements in the order in which they are taken. Those of one
// phase take turns, so that the machine is the same to all of them.
func phases() [][]Measurement {
	return [][]Measurement{{Ask, Put, Get}, {Bulk}, {Election}, {Detection}}
}

// Samples are the times that were measured, in the order of their measurement.
type Samples map[Measurement][]time.Duration

// plans is the whole calibration, in the order in which it is carried out.
func plans(scale float64) []Plan {
	times := func(n int) int { return max(int(float64(n)*scale), 2) }
	link := Link{Delay: 5 * time.Millisecond, Jitter: time.Millisecond}
	lossy := link
	lossy.Loss = 0.02
	return []Plan{
		{"direct", Link{}, map[Measurement]int{Ask: times(500), Put: times(1000), Get: times(1000)}},
		{"delay", link, map[Measurement]int{Ask: times(500), Put: times(1000), Get: times(1000), Bulk: times(60), Election: times(30), Detection: times(30)}},
		{"loss", lossy, map[Measurement]int{Ask: times(500), Put: times(1000), Get: times(1000), Bulk: times(60)}},
	}
}

// node is a machine of the cluster.
type node struct {
	name    string
	address string
	server  bool
}

// prober is the machine from which all is measured. No agent runs on it.
const prober = "probe"

// The prober's addresses. Nothing delays or loses what goes from or to the second
// one: that is how the machine's own costs are measured.
const (
	proberAddress = "10.77.0.100"
	directAddress = "10.77.0.200"
)

const servers = 3

// nodes lists the machines that agents run on.
func nodes() []node {
	return []node{
		{"s1", "10.77.0.1", true}, {"s2", "10.77.0.2", true}, {"s3", "10.77.0.3", true},
		{"c1", "10.77.0.11", false}, {"c2", "10.77.0.12", false},
	}
}

// arguments are the command line of a node's agent, the same in both worlds.
func (n node) arguments(dataDir string) []string {
	args := []string{
		"-node", n.name, "-bind", n.address, "-client", "0.0.0.0", "-data-dir", dataDir,
		"-retry-interval", "500ms", "-log-level", "info", "-hcl", "performance { raft_multiplier = 1 }",
	}
	for _, other := range nodes() {
		if other.server {
			args = append(args, "-retry-join", other.address)
		}
	}
	if n.server {
		args = append(args, "-server", "-bootstrap-expect", fmt.Sprint(servers))
	}
	return args
}
