package server

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/fsm"
	"tribune/impl/gossip"
	"tribune/impl/store"
)

// enroll brings the catalog in line with gossip: the leader keeps there a node
// for every member, with the check serfHealth that says whether it lives, and for
// every server the service consul. A member that left goes from the catalog with
// all it has, and so does one that gossip has forgotten; unless another has its name
// now, be it in other capitals. It returns false when something could not be done now.
func (s *Server) enroll(ctx context.Context) bool {
	named := s.pool.Members()
	s.census.meet(named)
	named = slices.DeleteFunc(slices.Clone(named), func(m api.Member) bool { return m.Tags["dc"] != s.config.Datacenter })
	members := slices.DeleteFunc(slices.Clone(named), func(m api.Member) bool { return m.Status == gossip.StatusLeft })
	seen, there := folded(named), folded(members)
	done := true
	for _, m := range named {
		// A leader that leaves is taken out by the next one.
		if m.Status == gossip.StatusLeft && !there[fold(m.Name)] && m.Name != s.config.NodeName {
			done = s.strike(ctx, m.Name) && done
		}
	}
	nodes, checks, err := s.listed()
	if err != nil {
		s.log.Error("the catalog could not be read", "error", err)
		return false
	}
	for _, c := range checks {
		if c.CheckID == api.SerfCheckID && !seen[fold(c.Node)] {
			done = s.seek(ctx, c) && done
		}
	}
	rightful, others := claims(members, nodes)
	s.warn(others)
	taken := folded(rightful)
	for _, m := range others {
		if nodes[fold(m.Name)].ID != "" && !taken[fold(m.Name)] {
			done = s.strike(ctx, m.Name) && done
		}
	}
	for _, m := range rightful {
		done = s.record(ctx, m) && done
	}
	return done
}

// fold is what the catalog knows a name by. Gossip tells names apart that differ in
// capitals alone; the catalog does not.
func fold(name string) string { return strings.ToLower(name) }

// folded are the names of members, as the catalog knows them.
func folded(members []api.Member) map[string]bool {
	names := map[string]bool{}
	for _, m := range members {
		names[fold(m.Name)] = true
	}
	return names
}

// warn tells, once, of agents that live and stay out of the catalog.
func (s *Server) warn(others []api.Member) {
	alive := slices.DeleteFunc(slices.Clone(others), func(m api.Member) bool { return m.Status != gossip.StatusAlive })
	for _, m := range s.census.strangers(alive) {
		s.log.Warn("an agent has the node ID of another, or its name in other capitals, and stays out of the catalog; give it a name of its own, or if it is a copy, delete node-id in its data directory; then start it again", "agent", m.Name, "address", m.Addr, "id", m.Tags["id"])
	}
}

// seek deals with a node that has the check serfHealth and that gossip does not
// name. It returns false while that is not settled.
func (s *Server) seek(ctx context.Context, c api.HealthCheck) bool {
	switch s.census.fate(c.Node, time.Now()) {
	case forgotten:
		return s.strike(ctx, c.Node)
	case silent:
		if c.Status == api.HealthCritical {
			return true
		}
		s.log.Warn("a node of the catalog is no member, and nobody has heard of it", "node", c.Node)
		c.Status, c.Output = api.HealthCritical, api.SerfFailedOutput
		_, _, err := s.commit(ctx, fsm.RegisterType, api.RegisterRequest{Node: c.Node, Check: &c, SkipNodeUpdate: true})
		if err != nil && ctx.Err() == nil {
			s.log.Error("the check of a node that nobody has heard of could not be changed", "node", c.Node, "error", err)
		}
		return err == nil
	}
	return false
}

// listed returns the nodes of the catalog by folded name, and all checks.
func (s *Server) listed() (map[string]api.Node, []api.HealthCheck, error) {
	tx := s.fsm.Store().Read()
	_, list, err := catalog.Nodes(tx, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	nodes := map[string]api.Node{}
	for _, n := range list {
		nodes[fold(n.Node)] = n
	}
	_, checks, err := catalog.ChecksInState(tx, nil, api.HealthAny, nil)
	return nodes, checks, err
}

// claims tells members that stand for their node ID and their name from others with
// the same one. A machine that was copied has the ID of another, and so has an agent's
// name from before it was renamed; and a name may be another's in other capitals.
// A member that lives goes before one that does not; among those, the one that the
// catalog has under the ID; then the first by name. So nobody loses a node that it
// has to a copy, and a name that nobody answers for any more does not come back.
func claims(members []api.Member, nodes map[string]api.Node) (rightful, others []api.Member) {
	rank := func(m api.Member) int {
		rank := 0
		if m.Status != gossip.StatusFailed {
			rank += 2
		}
		if n := nodes[fold(m.Name)]; n.Node == m.Name && n.ID == m.Tags["id"] {
			rank++
		}
		return rank
	}
	best := slices.Clone(members)
	slices.SortStableFunc(best, func(a, b api.Member) int { return rank(b) - rank(a) })
	ids, names, stands := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range best {
		if id, name := m.Tags["id"], fold(m.Name); !ids[id] && !names[name] {
			ids[id], names[name], stands[m.Name] = id != "", true, true
		}
	}
	for _, m := range members {
		if stands[m.Name] {
			rightful = append(rightful, m)
		} else {
			others = append(others, m)
		}
	}
	return rightful, others
}

// record registers a member as it is now, unless the catalog says so already.
func (s *Server) record(ctx context.Context, m api.Member) bool {
	r := s.registration(m)
	_, node, _, err := catalog.Node(s.fsm.Store().Read(), nil, m.Name)
	if err == nil && node != nil && node.ID != "" && node.ID != r.ID {
		// One member has a name (see claims): the node that had this one is no more.
		if !s.strike(ctx, m.Name) {
			return false
		}
		node = nil
	}
	if err == nil && node != nil {
		var same bool
		if same, err = recorded(s.fsm.Store().Read(), r); same {
			return true
		}
	}
	if err == nil {
		_, _, err = s.commit(ctx, fsm.RegisterType, r)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("a member could not be registered", "member", m.Name, "error", err)
	}
	return err == nil
}

// registration is what the catalog shall say of a member.
func (s *Server) registration(m api.Member) api.RegisterRequest {
	r := api.RegisterRequest{
		ID: m.Tags["id"], Node: m.Name, Address: m.Addr, KeepMeta: true, WriteOptions: api.WriteOptions{Datacenter: s.config.Datacenter},
		Check: &api.HealthCheck{CheckID: api.SerfCheckID, Name: api.SerfCheckName, Status: api.HealthPassing, Output: api.SerfAliveOutput},
	}
	if m.Status == gossip.StatusFailed {
		r.Check.Status, r.Check.Output = api.HealthCritical, api.SerfFailedOutput
	}
	if _, ok := serverOf(m, s.config.Datacenter); ok {
		port, _ := strconv.Atoi(m.Tags["port"]) // a tag that we write ourselves
		r.Service = &api.NodeService{
			ID: api.ServerServiceName, Service: api.ServerServiceName, Port: port, Weights: api.Weights{Passing: 1, Warning: 1},
			Meta: map[string]string{
				"non_voter": "false", "read_replica": "false", "raft_version": m.Tags["raft_vsn"], "version": m.Tags["build"],
				"serf_protocol_current": strconv.Itoa(int(m.ProtocolCur)), "serf_protocol_min": strconv.Itoa(int(m.ProtocolMin)), "serf_protocol_max": strconv.Itoa(int(m.ProtocolMax)),
			},
		}
	}
	return r
}

// recorded reports whether the catalog holds all of a registration.
func recorded(tx *store.Txn, r api.RegisterRequest) (bool, error) {
	_, node, services, err := catalog.Node(tx, nil, r.Node)
	if err != nil || node == nil || node.Node != r.Node || node.ID != r.ID || node.Address != r.Address {
		return false, err
	}
	found := r.Service == nil
	for _, s := range services {
		found = found || s.ID == r.Service.ID && s.Port == r.Service.Port && maps.Equal(s.Meta, r.Service.Meta)
	}
	_, checks, err := catalog.ChecksOfNode(tx, nil, r.Node)
	if err != nil || !found {
		return false, err
	}
	for _, c := range checks {
		if c.CheckID == r.Check.CheckID && c.Status == r.Check.Status && c.Output == r.Check.Output {
			return true, nil
		}
	}
	return false, nil
}

// strike takes a node out of the catalog, if it is there.
func (s *Server) strike(ctx context.Context, name string) bool {
	_, node, _, err := catalog.Node(s.fsm.Store().Read(), nil, name)
	if err == nil && node == nil {
		return true
	}
	if err == nil {
		s.log.Info("deregistering a member that is gone", "member", name)
		_, _, err = s.commit(ctx, fsm.DeregisterType, api.DeregisterRequest{Node: name})
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("a member could not be deregistered", "member", name, "error", err)
	}
	if err == nil {
		s.census.strike(name)
	}
	return err == nil
}
