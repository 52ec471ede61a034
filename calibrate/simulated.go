//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/launch"
	"tribune/sim/simdisk"
)

// order is what a simulation needs to know.
type order struct {
	Plan    Plan
	Seed    uint64
	Machine Machine
}

// outcome is what a simulation found.
type outcome struct {
	Samples Samples
	Virtual time.Duration // that it took
}

const childName = "calibrate"

// children is the table for launch.ChildMain.
func children() map[string]launch.Main {
	return map[string]launch.Main{childName: func(in []byte, out io.Writer) {
		if err := execute(in, out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}}
}

// simulate takes the measurements of a plan in a simulated world, in a process of
// its own.
func simulate(ctx context.Context, o order) (outcome, error) {
	in, err := json.Marshal(o)
	if err != nil {
		return outcome{}, err
	}
	var complaints bytes.Buffer
	out, err := launch.Output(ctx, launch.Spec{Main: childName, Input: in, Stderr: &complaints})
	if err != nil {
		return outcome{}, fmt.Errorf("%s simulated, seed %d: %w\n%s", o.Plan.Name, o.Seed, err, strings.TrimSpace(complaints.String()))
	}
	var found outcome
	return found, json.Unmarshal(out, &found)
}

// execute makes a simulation, in the process that is there for it.
func execute(in []byte, out io.Writer) error {
	var o order
	if err := json.Unmarshal(in, &o); err != nil {
		return err
	}
	var found outcome
	var failure error
	err := sim.Run(sim.Options{Seed: o.Seed, Model: o.Machine.model(o.Plan.Link)}, func(w *sim.World) {
		found.Samples, failure = probeWorld(w, o)
		found.Virtual = w.Now()
	})
	if err == nil {
		err = failure
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}

// probeWorld builds the cluster in a world and runs the probe there.
func probeWorld(w *sim.World, o order) (s Samples, err error) {
	disk := simdisk.Options{Sync: o.Machine.sync()}
	for _, n := range nodes() {
		w.AddNode(sim.NodeConfig{Name: n.name, Addrs: []netip.Addr{netip.MustParseAddr(n.address)}, Disk: disk})
	}
	m := &simulated{world: w, wishes: make(chan func())}
	go m.grant()
	at := w.AddNode(sim.NodeConfig{Name: prober, Addrs: []netip.Addr{netip.MustParseAddr(proberAddress)}})
	at.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		s, err = measure(ctx, o.Plan, h.Network(), m, func(string, ...any) {})
		return err
	})
	at.Wait()
	close(m.wishes)
	return s, err
}

// simulated are the nodes of a world. What the probe wants done to them is done by
// a goroutine of the world: nothing that belongs to a node starts or ends others.
type simulated struct {
	world  *sim.World
	wishes chan func()
}

var _ machines = (*simulated)(nil)

func (m *simulated) grant() {
	for wish := range m.wishes {
		wish()
	}
}

func (m *simulated) do(wish func()) error {
	done := make(chan struct{})
	m.wishes <- func() {
		wish()
		close(done)
	}
	<-done
	return nil
}

// Start implements machines.
func (m *simulated) Start(name string) error {
	return m.do(func() { m.world.Node(name).Start(program(name)) })
}

// Kill implements machines.
func (m *simulated) Kill(name string) error {
	return m.do(func() { m.world.Node(name).Kill() })
}

// Weigh implements machines: a simulated machine costs what it was told.
func (m *simulated) Weigh(context.Context, string) error { return nil }

// program is the agent of a node, as cmd/tribune runs it.
func program(name string) sim.Program {
	return func(ctx context.Context, h host.Host, log *slog.Logger) error {
		for _, n := range nodes() {
			if n.name != name {
				continue
			}
			c, err := config.Load(h.FS(), n.arguments("/data"))
			if err != nil {
				return err
			}
			a, err := agent.New(ctx, c, h, log)
			if err != nil {
				return err
			}
			return a.Run(ctx)
		}
		return fmt.Errorf("there is no node %q", name)
	}
}
