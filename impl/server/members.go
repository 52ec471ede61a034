package server

import (
	"context"
	"slices"
	"strconv"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/gossip"
	"tribune/impl/rpc"
)

// peer is a server of this datacenter as gossip sees it.
type peer struct {
	name    string
	id      string
	address string // of its server port
	expect  int
	status  int
}

// peers lists the servers of this datacenter among the members, this one
// included, sorted by name.
func (s *Server) peers() []peer {
	var found []peer
	for _, m := range s.pool.Members() {
		if p, ok := serverOf(m, s.config.Datacenter); ok {
			found = append(found, p)
		}
	}
	return found
}

func serverOf(m api.Member, datacenter string) (peer, bool) {
	address, ok := gossip.ServerAddress(m, datacenter)
	if !ok {
		return peer{}, false
	}
	expect, _ := strconv.Atoi(m.Tags["expect"]) // absent: joins a group that exists
	return peer{
		name: m.Name, id: m.Tags["id"], address: address, expect: expect, status: m.Status,
	}, true
}

// roster is what the leader remembers between two looks at the members: who
// was there, since a member that gossip has forgotten leaves no trace.
type roster struct {
	known map[string]peer // by ID
}

// step is one change to the raft group.
type step struct {
	remove bool // else: add, or move to another address
	id     string
	name   string
	to     string // the address
	why    string
}

// steps is what brings the raft group in line with gossip. A server that is
// alive is in the group under its present address; one that left, or that
// gossip has forgotten, is not. One that failed stays, for it may come back, and
// fewer members make a smaller majority: it goes only when the group has grown
// beyond the number it was made for, that is, when another took its place; if that
// number is 0, never.
//
// No step takes out so many that the rest has no living majority; raft could
// not carry it out, and the leader would lose its leadership over it.
func (r *roster) steps(group []consensus.Server, seen []peer, self string, made int) []step {
	byID, living := map[string]peer{}, map[string]bool{}
	for _, p := range seen {
		// A server that changed its name is there twice for a while.
		if old, twice := byID[p.id]; !twice || old.status != gossip.StatusAlive {
			byID[p.id] = p
		}
		living[p.id] = living[p.id] || p.status == gossip.StatusAlive
	}
	plan := additions(group, seen, byID, self)
	voters, alive := 0, 0
	for _, m := range group {
		if m.Voter {
			voters++
			if living[m.ID] {
				alive++
			}
		}
	}
	for _, m := range group {
		p, present := byID[m.ID]
		why := ""
		switch {
		case m.ID == self || living[m.ID] || m.Voter && alive < (voters-1)/2+1:
			continue
		case present && p.status == gossip.StatusLeft:
			why = "it left"
		case !present && r.known[m.ID].id != "":
			p = r.known[m.ID]
			why = "it is no member any more"
		case present && p.status == gossip.StatusFailed && made >= 3 && voters > made:
			why = "it failed and another took its place"
		default:
			continue
		}
		plan = append(plan, step{remove: true, id: m.ID, name: p.name, to: m.Address, why: why})
		if m.Voter {
			voters--
		}
	}
	for id, p := range byID {
		r.known[id] = p
	}
	return plan
}

// additions are the steps that bring living servers in under their addresses. No
// two servers of a group may have one address: who holds an address that a
// living server now has, and is not there itself, must go first. It moved, or
// its disk was lost and it is the other under a new identity.
func additions(group []consensus.Server, seen []peer, byID map[string]peer, self string) []step {
	var plan []step
	group = slices.Clone(group)
	find := func(f func(consensus.Server) bool) int { return slices.IndexFunc(group, f) }
	var want []peer
	for _, p := range seen {
		if p.status == gossip.StatusAlive && byID[p.id] == p {
			want = append(want, p)
		}
	}
	for progress := true; progress; {
		progress = false
		var holder int
		for _, p := range want {
			at := find(func(m consensus.Server) bool { return m.ID == p.id })
			if at >= 0 && group[at].Address == p.address {
				continue
			}
			h := find(func(m consensus.Server) bool { return m.Address == p.address })
			if h >= 0 {
				if b := byID[group[h].ID]; group[h].ID != self && (b.status != gossip.StatusAlive || b.address != p.address) {
					holder = h + 1
				}
				continue
			}
			if at >= 0 {
				group = slices.Delete(group, at, at+1)
			}
			group = append(group, consensus.Server{ID: p.id, Address: p.address, Voter: true})
			plan = append(plan, step{id: p.id, name: p.name, to: p.address, why: "it is alive"})
			progress = true
		}
		if !progress && holder > 0 {
			m := group[holder-1]
			group = slices.Delete(group, holder-1, holder)
			plan = append(plan, step{remove: true, id: m.ID, name: byID[m.ID].name, to: m.Address, why: "another has its address"})
			progress = true
		}
	}
	return plan
}

// reconcile brings the raft group in line with gossip as far as can be done now.
// It returns true when there was nothing to do: a change can make another one
// possible.
func (s *Server) reconcile(ctx context.Context, r *roster) (done bool) {
	group, err := s.raft.Servers()
	if err != nil {
		return false // leadership is lost
	}
	made := s.config.BootstrapExpect
	if s.config.Raft.KeepDead {
		made = 0
	}
	plan := r.steps(group, s.peers(), s.config.NodeID, made)
	for _, t := range plan {
		if ctx.Err() != nil {
			return false
		}
		if t.remove {
			s.log.Info("removing a server from the raft group", "server", t.name, "id", t.id, "address", t.to, "why", t.why)
			err = s.watched(func() error { return s.raft.RemoveServer(t.id) })
		} else {
			if !s.admissible(group, t) {
				continue
			}
			s.log.Info("adding a server to the raft group", "server", t.name, "id", t.id, "address", t.to)
			err = s.watched(func() error { return s.raft.AddVoter(t.id, t.to) })
		}
		if err != nil {
			s.log.Error("the raft group could not be changed", "server", t.name, "error", err)
			return false
		}
	}
	return len(plan) == 0
}

// admissible asks a server, before it is added, which raft group it knows. One
// that does not answer would only make majorities harder to reach; one with a
// group of strangers belongs to another cluster, and would lose its data here.
func (s *Server) admissible(group []consensus.Server, t step) bool {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	if t.id == s.config.NodeID {
		return true
	}
	theirs, err := rpc.Call[[]consensus.Server](ctx, s.client, t.to, methodGroup, nothing{})
	if err != nil {
		s.log.Warn("a server is not added to the raft group: it does not answer", "server", t.name, "address", t.to, "error", err)
		return false
	}
	if strangers(group, theirs) {
		s.log.Error("a server is not added to the raft group: it belongs to another cluster; clear its data directory if it shall join this one", "server", t.name, "address", t.to)
		return false
	}
	return true
}

// strangers reports whether two groups have no server in common; an empty one
// knows nobody yet.
func strangers(a, b []consensus.Server) bool {
	for _, x := range a {
		for _, y := range b {
			if x.ID == y.ID {
				return false
			}
		}
	}
	return len(a) > 0 && len(b) > 0
}
