package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"

	"tribune/impl/host"
	"tribune/sim/trace"
)

const (
	dnsPort      = 8600
	resolveEvery = 2 * time.Second
	resolveLimit = 2 * time.Second // for an answer
	// dnsLag is how far the server that answers may be behind the leader while
	// nothing is broken.
	dnsLag = time.Second
)

// resolution is what an agent's DNS last said about a service.
type resolution struct {
	asked time.Duration
	found []string // addresses, sorted
}

// resolve is the program of a node that asks the DNS of each client agent for the
// services of the fleet, again and again.
func (f *fleet) resolve(ctx context.Context, h host.Host, _ *slog.Logger) error {
	for turn := uint16(0); ; turn++ {
		for _, agent := range f.run.plan.agents() {
			for _, service := range []string{webService, jobService} {
				asked := f.run.world.Now()
				found, err := lookUp(ctx, h.Network(), agent, service, turn)
				if err != nil {
					continue // the agent is down, or an answer was lost
				}
				f.run.world.Recordf(trace.Op, "resolver", agent, "%s is at %v", service, found)
				f.dns[agent+" "+service] = resolution{asked, found}
				f.resolvedInTime(agent, service, resolution{asked, found})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(resolveEvery):
		}
	}
}

// lookUp asks an agent for the addresses of the instances of a service.
func lookUp(ctx context.Context, n host.Network, agent, service string, id uint16) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	c, err := n.Dial(ctx, "udp", net.JoinHostPort(agent, fmt.Sprint(dnsPort)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // nothing is left to be sent
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return nil, err
		}
	}
	question := new(dns.Msg)
	question.SetQuestion(service+".service.consul.", dns.TypeA)
	question.SetEdns0(dns.DefaultMsgSize, false)
	question.Id = id
	talk := &dns.Conn{Conn: c, UDPSize: dns.DefaultMsgSize}
	if err := talk.WriteMsg(question); err != nil {
		return nil, err
	}
	answer, err := talk.ReadMsg()
	switch {
	case err != nil:
		return nil, err
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("%s", dns.RcodeToString[answer.Rcode])
	}
	found := []string{}
	for _, rr := range answer.Answer {
		if a, ok := rr.(*dns.A); ok {
			found = append(found, a.A.String())
		}
	}
	slices.Sort(found)
	return found, nil
}

// addresses are where the instances of a service are that are well, sorted.
func (f *fleet) addresses(service string) []string {
	well := []string{}
	for _, name := range f.run.plan.agents() {
		if s := f.sites[name]; s.stopped == 0 && s.up(service) {
			well = append(well, s.address)
		}
	}
	slices.Sort(well)
	return well
}

// resolvedInTime complains, where the scenario asks for bounds, about an answer
// that leaves out an instance that is up for longer than it takes to find out, or
// has one that is down.
func (f *fleet) resolvedInTime(agent, service string, r resolution) {
	if f.run.plan.Scenario.Checks.Bounds == "" {
		return
	}
	dead := suspicionBound(len(f.run.plan.names())+len(f.sites)) + dnsLag
	for _, name := range f.run.plan.agents() {
		s := f.sites[name]
		there := slices.Contains(r.found, s.address)
		switch {
		case s.stopped > 0 && there && r.asked-s.stopped > dead:
			f.run.world.Violate("DNS", "%s names %s of %s at %v, which died at %v", agent, service, name, r.asked, s.stopped)
		case s.stopped == 0 && s.changed[service] > 0 && r.asked-s.changed[service] > detection+dnsLag && there != s.up(service):
			f.run.world.Violate("DNS", "%s names %s of %s at %v: %t, which is up since %v: %t", agent, service, name, r.asked, there, s.changed[service], s.up(service))
		}
	}
}

// resolved reports whether the DNS of all agents names the instances that are well,
// and no others.
func (f *fleet) resolved() (bool, string) {
	for _, agent := range f.run.plan.agents() {
		for _, service := range []string{webService, jobService} {
			r, known := f.dns[agent+" "+service]
			if want := f.addresses(service); !known || !slices.Equal(r.found, want) {
				return false, fmt.Sprintf("the DNS of %s has %s at %v, asked at %v, and it is at %v", agent, service, r.found, r.asked, want)
			}
			if age := f.run.world.Now() - r.asked; age > dnsSilence {
				return false, fmt.Sprintf("the DNS of %s says nothing about %s for %v", agent, service, age)
			}
		}
	}
	return true, ""
}

// dnsSilence is how long an agent's DNS may be silent when nothing is broken: an
// answer may be lost.
const dnsSilence = 20 * time.Second
