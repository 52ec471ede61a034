package catalog

import (
	"tribune/impl/api"
	"tribune/impl/store"
)

// Effective has checks on nodes whose agent does not live be critical: nobody has
// carried them out since. What a check said last stays in its output.
func Effective(tx *store.Txn, found []api.HealthCheck) error {
	for i := range found {
		c := &found[i]
		if c.CheckID == api.SerfCheckID || c.Status == api.HealthCritical {
			continue
		}
		serf, err := first[api.HealthCheck](tx, checks, "id", c.Node, api.SerfCheckID)
		if err != nil {
			return err
		}
		if serf != nil && serf.Status == api.HealthCritical {
			c.Status, c.Output = api.HealthCritical, api.SerfFailedOutput+"; it was "+c.Status+": "+c.Output
		}
	}
	return nil
}
