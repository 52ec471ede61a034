package catalog

import (
	"strings"

	"tribune/impl/api"
	"tribune/impl/store"
)

// spell is that of a check which is written at a raft index in place of an old one,
// or of none.
func spell(index uint64, old *api.HealthCheck, c api.HealthCheck) api.Spell {
	switch {
	case c.Status != api.HealthCritical || c.Definition.DeregisterCriticalServiceAfter <= 0:
		return api.Spell{}
	case old != nil && old.Spell.Since != 0 && strings.EqualFold(old.ServiceID, c.ServiceID):
		return old.Spell
	}
	return api.Spell{Since: index}
}

// Spells lists the checks of services that are critical and whose definition says
// after how long the service goes.
func Spells(tx *store.Txn) ([]api.HealthCheck, error) {
	critical, err := all[api.HealthCheck](tx, checks, "state", api.HealthCritical)
	var found []api.HealthCheck
	for _, c := range critical {
		if c.Spell.Since != 0 && c.ServiceID != "" {
			found = append(found, *c)
		}
	}
	return found, err
}

// Note writes down at a raft index how long checks have been critical, and removes
// the services for which that was too long. A spell that has ended meanwhile is left
// alone. It returns the nodes that lost a service. Nobody is woken by a note alone.
func Note(tx *store.Txn, index uint64, notes []api.SpellNote) (touched []string, err error) {
	for _, n := range notes {
		old, err := first[api.HealthCheck](tx, checks, "id", n.Node, n.CheckID)
		if err != nil {
			return nil, err
		}
		if old == nil || old.ServiceID == "" || n.Spell.Since == 0 || old.Spell.Since != n.Spell.Since {
			continue
		}
		if n.Over {
			touched = append(touched, n.Node)
			if err := Deregister(tx, index, api.DeregisterRequest{Node: n.Node, ServiceID: old.ServiceID}); err != nil {
				return nil, err
			}
			continue
		}
		c := *old
		c.Spell = n.Spell
		if err := put(tx, 0, checks, &c); err != nil {
			return nil, err
		}
	}
	return touched, nil
}
