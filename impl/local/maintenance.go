package local

import (
	"cmp"

	"tribune/impl/api"
	"tribune/impl/fault"
)

const (
	nodeMaintenanceName    = "Node Maintenance Mode"
	serviceMaintenanceName = "Service Maintenance Mode"
	nodeMaintenanceNotes   = "Maintenance mode is enabled for this node, but no reason was provided. This is a default message."
	serviceMaintenanceNote = "Maintenance mode is enabled for this service, but no reason was provided. This is a default message."
)

// ServiceMaintenance takes a service out of use by a critical check, or back.
func (s *State) ServiceMaintenance(id string, on bool, reason, token string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if !s.has(id) {
		return fault.New(fault.NotFound, "Unknown service ID %q. Ensure that the service ID is passed, not the service name.", id)
	}
	return s.maintain(on, api.CheckDefinition{
		CheckID: api.ServiceMaintenance + id, Name: serviceMaintenanceName, ServiceID: id,
		Notes: cmp.Or(reason, serviceMaintenanceNote), Status: api.HealthCritical, Token: token,
	})
}

// NodeMaintenance takes all services of this agent out of use by a critical check
// of the node, or back.
func (s *State) NodeMaintenance(on bool, reason, token string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.maintain(on, api.CheckDefinition{
		CheckID: api.NodeMaintenanceID, Name: nodeMaintenanceName,
		Notes: cmp.Or(reason, nodeMaintenanceNotes), Status: api.HealthCritical, Token: token,
	})
}

// maintain has a check be there or not, whichever was before.
func (s *State) maintain(on bool, d api.CheckDefinition) error {
	s.mu.Lock()
	c := s.checks[d.CheckID]
	there := c != nil && !c.gone
	s.mu.Unlock()
	defer s.push()
	switch {
	case on && !there:
		s.log.Info("maintenance mode begins", "check", d.CheckID, "reason", d.Notes)
		if err := s.files.keepCheck(d); err != nil {
			return err
		}
		return s.putCheck(d, false)
	case !on && there:
		s.log.Info("maintenance mode ends", "check", d.CheckID)
		return s.removeCheck(d.CheckID)
	case !on:
		return s.files.forgetCheck(d.CheckID) // it may be on disk alone, and is not to come back from there
	}
	return nil
}
