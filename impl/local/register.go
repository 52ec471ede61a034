package local

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"tribune/impl/api"
	"tribune/impl/definition"
	"tribune/impl/fault"
)

// AddService registers a service, or registers it anew, with its checks. A check
// that had found something already keeps its status. With replace, the checks go
// that the service had and the definition does not name. Errors of kind
// fault.Invalid say what the definition lacks; then nothing has changed.
func (s *State) AddService(d api.ServiceDefinition, replace bool) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.addService(d, replace, false)
}

// addService is AddService; filed is set when the configuration says it.
func (s *State) addService(d api.ServiceDefinition, replace, filed bool) error {
	d.ID = cmp.Or(d.ID, d.Name)
	if err := definition.ValidateService(d); err != nil {
		return err
	}
	checks, err := checksOf(s.prober, d, filed)
	if err != nil {
		return err
	}
	if !filed {
		// The checks first: a service without its checks would count as passing,
		// checks without a service are dropped when they are read.
		for _, c := range checks {
			if err := s.files.keepCheck(c); err != nil {
				return err
			}
		}
		if err := s.files.keepService(d); err != nil {
			return err
		}
	}
	named := map[string]bool{}
	var fresh []*check
	for _, c := range checks {
		named[c.CheckID] = true
		if k := s.fresh(c, filed); k != nil {
			fresh = append(fresh, k)
		}
	}
	s.enter(&service{NodeService: instance(d), token: d.Token, filed: filed}, fresh...)
	var errs []error
	for _, c := range fresh {
		errs = append(errs, s.begin(c))
	}
	if replace {
		for _, c := range s.all() {
			if c.ServiceID == d.ID && !c.gone && !named[c.CheckID] && !strings.HasPrefix(c.CheckID, api.ServiceMaintenance) {
				errs = append(errs, s.removeCheck(c.CheckID))
			}
		}
	}
	s.push()
	return errors.Join(errs...)
}

// instance is what a definition has the catalog know. An address is a tagged one of
// its family, too, where the definition does not say otherwise (as in Consul).
func instance(d api.ServiceDefinition) api.NodeService {
	n := api.NodeService{
		ID: d.ID, Service: d.Name, Tags: slices.Clone(d.Tags), Address: d.Address, TaggedAddresses: maps.Clone(d.TaggedAddresses),
		Meta: maps.Clone(d.Meta), Port: d.Port, Weights: api.Weights{Passing: 1, Warning: 1}, EnableTagOverride: d.EnableTagOverride,
	}
	if d.Weights != nil {
		n.Weights = *d.Weights
	}
	if family := familyOf(d.Address); family != "" {
		if n.TaggedAddresses == nil {
			n.TaggedAddresses = map[string]api.ServiceAddress{}
		}
		for _, net := range []string{"lan", "wan"} {
			if _, given := n.TaggedAddresses[net+family]; !given {
				n.TaggedAddresses[net+family] = api.ServiceAddress{Address: d.Address, Port: d.Port}
			}
		}
	}
	return n
}

// familyOf is how names of tagged addresses end for an IP address, "" for others.
func familyOf(address string) string {
	switch ip, err := netip.ParseAddr(address); {
	case err != nil:
		return ""
	case ip.Unmap().Is4():
		return "_ipv4"
	}
	return "_ipv6"
}

// checksOf are the checks of a service's definition, completed as Consul does.
func checksOf(p Prober, d api.ServiceDefinition, filed bool) ([]api.CheckDefinition, error) {
	all := slices.Clone(d.Checks)
	if d.Check != nil {
		all = slices.Insert(all, 0, *d.Check)
	}
	for i := range all {
		c := &all[i]
		if c.CheckID == "" {
			c.CheckID = "service:" + d.ID
			if len(all) > 1 {
				c.CheckID = fmt.Sprintf("service:%s:%d", d.ID, i+1)
			}
		}
		c.Name = cmp.Or(c.Name, fmt.Sprintf("Service '%s' check", d.Name))
		c.ServiceID, c.Token = d.ID, cmp.Or(c.Token, d.Token)
		if err := validateCheck(p, *c, filed); err != nil {
			return nil, err
		}
	}
	last := map[string]int{} // the definition of an ID that counts
	for i, c := range all {
		last[c.CheckID] = i
	}
	var checks []api.CheckDefinition
	for i, c := range all {
		if last[c.CheckID] == i {
			checks = append(checks, c)
		}
	}
	return checks, nil
}

// AddCheck registers a check of the node, or of a service that is registered.
func (s *State) AddCheck(c api.CheckDefinition) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.addCheck(c, false)
}

func (s *State) addCheck(c api.CheckDefinition, filed bool) error {
	if c.Name == "" {
		return fault.New(fault.Invalid, "Missing check name")
	}
	c.CheckID = cmp.Or(c.CheckID, c.Name)
	if err := validateCheck(s.prober, c, filed); err != nil {
		return err
	}
	if c.ServiceID != "" && !s.has(c.ServiceID) {
		return fault.New(fault.NotFound, "ServiceID %q does not exist", c.ServiceID)
	}
	if !filed {
		if err := s.files.keepCheck(c); err != nil {
			return err
		}
	}
	err := s.putCheck(c, filed)
	s.push()
	return err
}

// putCheck takes a check in and has it run.
func (s *State) putCheck(d api.CheckDefinition, filed bool) error {
	c := s.fresh(d, filed)
	if c == nil {
		return nil
	}
	s.enter(nil, c)
	return s.begin(c)
}

// fresh returns the check of a definition, or nil if there is one that is defined
// so already: it goes on as it is. Of one that is defined otherwise the probe is
// stopped, before there is another with its name.
func (s *State) fresh(d api.CheckDefinition, filed bool) *check {
	s.mu.Lock()
	old := s.checks[d.CheckID]
	same := old != nil && !old.gone && reflect.DeepEqual(old.definition, d)
	if same {
		old.filed = filed
	}
	s.mu.Unlock()
	if same {
		return nil
	}
	if old != nil && old.probe != nil {
		old.probe.Stop()
	}
	c := &check{definition: d, filed: filed, HealthCheck: api.HealthCheck{
		Node: s.config.Node.Node, CheckID: d.CheckID, Name: d.Name, Notes: d.Notes, ServiceID: d.ServiceID,
		Status: cmp.Or(d.Status, api.HealthCritical), Type: Type(d),
	}}
	if d.Interval > 0 {
		c.Interval = d.Interval.String()
	}
	if d.Timeout > 0 {
		c.Timeout = d.Timeout.String()
	}
	return c
}

// begin has a check run, unless it is one that is set by hand.
func (s *State) begin(c *check) error {
	if c.Type == "" || c.Type == maintenance {
		return nil
	}
	probe, err := s.prober.Start(c.definition)
	if err != nil {
		return fmt.Errorf("starting check %q: %w", c.CheckID, err)
	}
	s.mu.Lock()
	c.probe = probe
	s.mu.Unlock()
	return nil
}

// RemoveService deregisters a service with its checks. One that is not there is
// an error of kind fault.NotFound.
func (s *State) RemoveService(id string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.removeService(id)
}

func (s *State) removeService(id string) error {
	if !s.has(id) {
		return fault.New(fault.NotFound, "Unknown service ID %q. Ensure that the service ID is passed, not the service name.", id)
	}
	var own []*check
	for _, c := range s.all() {
		if c.ServiceID == id && !c.gone {
			own = append(own, c)
		}
	}
	// The files first: what cannot be forgotten stays, so that it can be removed again.
	// The checks' files last: the service may come back until it is forgotten for good.
	err := s.files.forgetService(id)
	if err != nil {
		return err
	}
	for _, c := range own {
		err = errors.Join(err, s.files.forgetCheck(c.CheckID))
	}
	if err != nil {
		return err
	}
	for _, c := range own {
		if c.probe != nil {
			c.probe.Stop()
		}
	}
	// All at once: without its checks the service would count as passing.
	s.mu.Lock()
	s.services[id].mark = mark{gone: true}
	for _, c := range own {
		c.leave()
	}
	s.notify()
	s.mu.Unlock()
	s.push()
	return nil
}

// RemoveCheck deregisters a check. One that is not there is an error of kind
// fault.NotFound.
func (s *State) RemoveCheck(id string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.removeCheck(id)
	s.push()
	return err
}

func (s *State) removeCheck(id string) error {
	s.mu.Lock()
	c := s.checks[id]
	s.mu.Unlock()
	if c == nil || c.gone {
		return fault.New(fault.NotFound, "Unknown check ID %q. Ensure that the check ID is passed, not the check name.", id)
	}
	if err := s.files.forgetCheck(id); err != nil {
		return err // and it stays, so that it can be removed again
	}
	if c.probe != nil {
		c.probe.Stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.leave()
	s.notify()
	return nil
}

// maintenance is the kind of the checks that take something out of use.
const maintenance = "maintenance"

// Type names a check's kind as Consul shows it; "" for one that nobody carries out.
func Type(d api.CheckDefinition) string {
	for _, k := range []struct {
		name string
		is   bool
	}{
		{"http", d.HTTP != ""}, {"tcp", d.TCP != ""}, {"udp", d.UDP != ""}, {"grpc", d.GRPC != ""}, {"script", len(d.ScriptArgs) > 0},
		{"h2ping", d.H2PING != ""}, {"os_service", d.OSService != ""}, {"alias", d.AliasNode != "" || d.AliasService != ""}, {"ttl", d.TTL > 0},
		{maintenance, d.CheckID == api.NodeMaintenanceID || strings.HasPrefix(d.CheckID, api.ServiceMaintenance)},
	} {
		if k.is {
			return k.name
		}
	}
	return ""
}

func validateCheck(p Prober, c api.CheckDefinition, filed bool) error {
	switch c.Status {
	case "", api.HealthPassing, api.HealthWarning, api.HealthCritical:
	default:
		return fault.New(fault.Invalid, "Bad check status")
	}
	if err := p.Validate(c, filed); err != nil {
		return fault.New(fault.Invalid, "Invalid check: %w", err)
	}
	return nil
}
