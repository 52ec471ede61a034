//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tribune/impl/host"
)

// reality are real agents, each a process in a network namespace of its own.
type reality struct {
	Program string // the agent
	Dir     string // of the agents' data and logs
	Prefix  string // of the namespaces' names
	Plan    Plan

	running map[string]*exec.Cmd
	scales  *scales
}

// lived is what was measured in reality, under one plan.
type lived struct {
	Plan    Plan
	Samples Samples
	Machine Machine
	Late    []time.Duration // packets, because of the router
}

// roles are the command lines of the processes in which reality takes place. The
// first one has the router and starts the second, in the probe's namespace, which
// starts the agents.
func roles() map[string]func(context.Context, reality) (lived, error) {
	return map[string]func(context.Context, reality) (lived, error){"-experience": experience, "-probe": probeMain}
}

// play is the main function of a role.
func play(role func(context.Context, reality) (lived, error)) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var r reality
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return err
	}
	found, err := role(ctx, r)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// urgency is how nice the real agents, the probe and the router are to whatever else
// runs on the machine, since that is not to be measured. They need little.
const urgency = -15

// delegate has another process play a role. That one ends with this one.
func (r reality) delegate(ctx context.Context, role string, through ...string) (found lived, err error) {
	self, err := os.Executable()
	if err != nil {
		return found, err
	}
	in, err := json.Marshal(r)
	if err != nil {
		return found, err
	}
	command := append(through, self, role)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return found, errInterrupted
	case err != nil:
		return found, fmt.Errorf("%s, with the agents' logs in %s: %w", role, r.Dir, err)
	}
	return found, json.Unmarshal(out, &found)
}

var errInterrupted = errors.New("interrupted")

var _ machines = (*reality)(nil)

// prefix is that of all namespaces that this program ever makes; the number of the
// process follows.
const prefix = "tribune-calibrate-"

// namespaces is where `ip netns` keeps them.
const namespaces = "/run/netns"

// unable says why this machine cannot show reality, empty if it can.
func unable() string {
	if os.Getuid() != 0 {
		return "network namespaces need root"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "the program ip is missing (apt-get install iproute2)"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "the kernel has no TUN devices: " + err.Error()
	}
	name := prefix + strconv.Itoa(os.Getpid()) + "-try"
	if err := ip("netns", "add", name); err != nil {
		return "network namespaces cannot be made here: " + err.Error()
	}
	if err := ip("netns", "del", name); err != nil {
		return err.Error()
	}
	return ""
}

// ip runs the program of that name.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// experience takes the measurements of a plan in reality.
func experience(ctx context.Context, r reality) (found lived, err error) {
	link := newRouter(r.Plan.Link.model())
	defer link.close()
	defer func() { err = errors.Join(err, r.removeNamespaces()) }()
	for _, n := range append(nodes(), node{name: prober, address: proberAddress}) {
		if err := r.connect(n, link); err != nil {
			return found, err
		}
	}
	stop, routed := make(chan struct{}), make(chan error, 1)
	go func() { routed <- link.run(stop) }()
	found, err = r.delegate(ctx, "-probe", "ip", "netns", "exec", r.Prefix+prober)
	close(stop)
	err = errors.Join(err, <-routed)
	found.Late = link.late
	return found, err
}

// connect makes a node's namespace, with the router as the way to all others.
func (r *reality) connect(n node, link *router) error {
	ns := r.Prefix + n.name
	if err := ip("netns", "add", ns); err != nil {
		return err
	}
	addresses := []string{n.address}
	if n.name == prober {
		addresses = append(addresses, directAddress)
	}
	commands := [][]string{{"link", "set", "lo", "up"}}
	var routed []netip.Addr
	for _, a := range addresses {
		commands = append(commands, []string{"addr", "add", a + "/24", "dev", tunName})
		routed = append(routed, netip.MustParseAddr(a))
	}
	if err := link.attach(filepath.Join(namespaces, ns), routed...); err != nil {
		return err
	}
	for _, args := range append(commands, []string{"link", "set", tunName, "up"}) {
		if err := ip(append([]string{"-n", ns}, args...)...); err != nil {
			return err
		}
	}
	// Whatever this machine prefers. It makes no difference to so few bytes, but
	// that others pace them. A namespace may have reno without being asked twice.
	return inside(filepath.Join(namespaces, ns), func() error {
		return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0o644)
	})
}

// removeNamespaces removes those of this run, and those that an earlier one
// left behind whose process is no more.
func (r *reality) removeNamespaces() error {
	entries, err := os.ReadDir(namespaces)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		number, _, ours := strings.Cut(strings.TrimPrefix(e.Name(), prefix), "-")
		if !ours || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		pid, err := strconv.Atoi(number)
		if err != nil || !strings.HasPrefix(e.Name(), r.Prefix) && syscall.Kill(pid, 0) == nil {
			continue
		}
		errs = append(errs, ip("netns", "del", e.Name()))
	}
	return errors.Join(errs...)
}

// probeMain takes the measurements. The agents are children of its process, and end
// with it.
func probeMain(ctx context.Context, r reality) (found lived, err error) {
	r.running = map[string]*exec.Cmd{}
	if r.scales, err = newScales(r.Dir); err != nil {
		return found, err
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "  "+format+"\n", args...)
	}
	s, err := measure(ctx, r.Plan, host.Real().Network(), &r, say)
	for name := range r.running {
		err = errors.Join(err, r.Kill(name))
	}
	return lived{Plan: r.Plan, Samples: s, Machine: r.scales.found}, err
}

// Start implements machines.
func (r *reality) Start(name string) error {
	for _, n := range nodes() {
		if n.name != name {
			continue
		}
		log, err := os.OpenFile(filepath.Join(r.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }() // the agent has it open
		args := append([]string{"netns", "exec", r.Prefix + name, r.Program, "agent"}, n.arguments(filepath.Join(r.Dir, name))...)
		cmd := exec.Command("ip", args...)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return err
		}
		r.running[name] = cmd
		return nil
	}
	return fmt.Errorf("there is no node %q", name)
}

// Kill implements machines.
func (r *reality) Kill(name string) error {
	cmd := r.running[name]
	delete(r.running, name)
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("%s ended by itself: %w", name, err)
	}
	_ = cmd.Wait() // that it was killed
	return nil
}

// Weigh implements machines.
func (r *reality) Weigh(ctx context.Context, name string) error {
	for _, n := range nodes() {
		if n.name == name {
			return r.scales.weigh(ctx, n.address)
		}
	}
	return fmt.Errorf("there is no node %q", name)
}
