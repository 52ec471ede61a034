package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
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

// question is a name of which the DNS is asked, and the service that it stands for.
type question struct{ name, service string }

// questions are about the services of the fleet: each by itself, and by the prepared
// query of its name.
func questions() []question {
	return []question{
		{webService + ".service", webService}, {jobService + ".service", jobService},
		{webService + ".query", webService}, {jobService + ".query", jobService},
	}
}

// resolve is the program of a node that makes the prepared queries, and asks the DNS of
// each client agent for the services of the fleet, again and again.
func (f *fleet) resolve(ctx context.Context, h host.Host, _ *slog.Logger) error {
	if err := f.prepare(ctx, h); err != nil {
		return err
	}
	for turn := uint16(0); ; turn++ {
		for _, agent := range f.run.plan.agents() {
			for _, q := range questions() {
				asked := f.run.world.Now()
				found, err := lookUp(ctx, h.Network(), agent, q.name, turn)
				if err != nil {
					continue // the agent is down, or an answer was lost
				}
				f.run.world.Recordf(trace.Op, "resolver", agent, "%s is at %v", q.name, found)
				f.dns[agent+" "+q.name] = resolution{asked, found}
				f.resolvedInTime(agent, q, resolution{asked, found})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(resolveEvery):
		}
	}
}

// prepare makes a prepared query for each service. One that is there already was made by
// a request that had no answer.
func (f *fleet) prepare(ctx context.Context, h host.Host) error {
	c, err := f.run.newClient(1900, "resolver", h.Network(), f.run.timeout())
	if err != nil {
		return err
	}
	for _, service := range []string{webService, jobService} {
		q := &api.PreparedQueryDefinition{Name: service, Service: api.ServiceQuery{Service: service}}
		for {
			_, _, err := c.servers[c.at].PreparedQuery().Create(q, (&api.WriteOptions{}).WithContext(ctx))
			if err == nil || strings.Contains(err.Error(), "aliases an existing query") {
				break
			}
			c.at = c.draws.IntN(len(c.servers))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(tryEvery):
			}
		}
	}
	return nil
}

// lookUp asks an agent for the addresses of the instances of a service.
func lookUp(ctx context.Context, n host.Network, agent, name string, id uint16) ([]string, error) {
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
	m := new(dns.Msg)
	m.SetQuestion(name+".consul.", dns.TypeA)
	m.SetEdns0(dns.DefaultMsgSize, false)
	m.Id = id
	talk := &dns.Conn{Conn: c, UDPSize: dns.DefaultMsgSize}
	if err := talk.WriteMsg(m); err != nil {
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
func (f *fleet) resolvedInTime(agent string, q question, r resolution) {
	if f.run.plan.Scenario.Checks.Bounds == "" {
		return
	}
	dead := suspicionBound(len(f.run.plan.names())+len(f.sites)) + dnsLag
	for _, name := range f.run.plan.agents() {
		s := f.sites[name]
		there := slices.Contains(r.found, s.address)
		switch {
		case s.stopped > 0 && there && r.asked-s.stopped > dead:
			f.run.world.Violate("DNS", "%s names %s of %s at %v, which died at %v", agent, q.name, name, r.asked, s.stopped)
		case s.stopped == 0 && s.changed[q.service] > 0 && r.asked-s.changed[q.service] > detection+dnsLag && there != s.up(q.service):
			f.run.world.Violate("DNS", "%s names %s of %s at %v: %t, which is up since %v: %t", agent, q.name, name, r.asked, there, s.changed[q.service], s.up(q.service))
		}
	}
}

// resolved reports whether the DNS of all agents names the instances that are well,
// and no others.
func (f *fleet) resolved() (bool, string) {
	for _, agent := range f.run.plan.agents() {
		for _, q := range questions() {
			r, known := f.dns[agent+" "+q.name]
			if want := f.addresses(q.service); !known || !slices.Equal(r.found, want) {
				return false, fmt.Sprintf("the DNS of %s has %s at %v, asked at %v, and it is at %v", agent, q.name, r.found, r.asked, want)
			}
			if age := f.run.world.Now() - r.asked; age > dnsSilence {
				return false, fmt.Sprintf("the DNS of %s says nothing about %s for %v", agent, q.name, age)
			}
		}
	}
	return true, ""
}

// dnsSilence is how long an agent's DNS may be silent when nothing is broken: an
// answer may be lost.
const dnsSilence = 20 * time.Second
