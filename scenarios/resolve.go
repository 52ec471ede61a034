package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/miekg/dns"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/fsm"
	"tribune/impl/host"
	"tribune/linearizability/raftsafety"
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
	asked, answered time.Duration
	found           []string // addresses, sorted
}

// saying is what an agent's DNS once said.
type saying struct {
	agent string
	question
	resolution
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
				r := resolution{asked, f.run.world.Now(), found}
				f.dns[agent+" "+q.name] = r
				f.resolvedInTime(agent, q, r)
				f.said = append(f.said, saying{agent, q, r})
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
		q := &capi.PreparedQueryDefinition{Name: service, Service: capi.ServiceQuery{Service: service}}
		for {
			_, _, err := c.servers[c.at].PreparedQuery().Create(q, (&capi.WriteOptions{}).WithContext(ctx))
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

// commits says how far servers had committed entries by when, in order of both.
type commits []commit

type commit struct {
	at    time.Duration
	index uint64
}

// by is the index up to which entries were seen committed by a time, 0 if none were.
func (c commits) by(at time.Duration) uint64 {
	i, _ := slices.BinarySearchFunc(c, at, func(c commit, at time.Duration) int { return cmp.Compare(c.at, at+1) })
	if i == 0 {
		return 0
	}
	return c[i-1].index
}

// unseenCommit is within what time it is seen that something was committed, though who
// knew it first is killed or stands still.
const unseenCommit = 15 * time.Second

// aged complains, where stale reads have a limit, about answers of the DNS that are
// older: that are not what the entries say that were committed up to any index between
// the one at that time before the question and the one at the answer.
func (f *fleet) aged(entries []raftsafety.Entry, seen commits) error {
	limit := f.run.plan.Scenario.Workload.MaxStale.Duration
	if limit == 0 || len(f.said) == 0 {
		return nil
	}
	truth, err := f.truth(entries)
	if err != nil {
		return err
	}
	for _, s := range f.said {
		if len(s.found) == 0 && strings.HasSuffix(s.name, ".query") {
			continue // the server did not have the query yet
		}
		low, high := seen.by(s.asked-limit-f.run.plan.Scenario.Checks.Lag.Duration-watchEvery), seen.by(s.answered+unseenCommit)
		if !truth[s.service].had(s.found, low, high) {
			f.run.world.Violate("age of DNS answers", "%s said that %s was at %v when it was asked at %v, and that was so at no time since %v before", s.agent, s.name, s.found, s.asked, limit)
		}
	}
	return nil
}

// version is where a service was from an index on.
type version struct {
	index uint64
	at    []string // addresses, sorted
}

// whereabouts are the versions of a service, in order.
type whereabouts []version

// had reports whether the addresses were those at any index between two, both included.
func (a whereabouts) had(found []string, low, high uint64) bool {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i].index <= high && slices.Equal(a[i].at, found) {
			return true
		}
		if a[i].index <= low {
			return false
		}
	}
	return len(found) == 0
}

// truth is where entries say that the services of the fleet are that are well.
func (f *fleet) truth(entries []raftsafety.Entry) (map[string]whereabouts, error) {
	all := map[string]whereabouts{}
	_, err := replay(entries, func(index uint64, m *fsm.FSM) error {
		for _, service := range []string{webService, jobService} {
			_, found, err := catalog.Health(m.Store().Read(), nil, service, nil, nil, false)
			if err != nil {
				return err
			}
			at := []string{}
			for _, n := range found {
				if !slices.ContainsFunc(n.Checks, func(c api.HealthCheck) bool { return c.Status == api.HealthCritical }) {
					at = append(at, n.Node.Address)
				}
			}
			slices.Sort(at)
			if known := all[service]; len(known) == 0 || !slices.Equal(known[len(known)-1].at, at) {
				all[service] = append(known, version{index, at})
			}
		}
		return nil
	})
	return all, err
}

// dnsSilence is how long an agent's DNS may be silent when nothing is broken: an
// answer may be lost.
const dnsSilence = 20 * time.Second
