package query

import (
	"slices"
	"strings"

	"tribune/impl/api"
)

// Choose returns those of all instances of a service that a query finds. Nothing
// is in a service mesh: there is none.
func Choose(q api.ServiceQuery, all []api.CheckServiceNode) []api.CheckServiceNode {
	var found []api.CheckServiceNode
	for _, i := range all {
		if !q.Connect && fit(q, i.Checks) && includes(i.Node.Meta, q.NodeMeta) && includes(i.Service.Meta, q.ServiceMeta) && tagged(i.Service.Tags, q.Tags) {
			found = append(found, i)
		}
	}
	return found
}

// fit reports whether the checks of an instance let a query find it.
func fit(q api.ServiceQuery, checks []api.HealthCheck) bool {
	return !slices.ContainsFunc(checks, func(c api.HealthCheck) bool {
		bad := c.Status == api.HealthCritical || q.OnlyPassing && c.Status != api.HealthPassing
		return bad && !slices.Contains(q.IgnoreCheckIDs, c.CheckID)
	})
}

// includes reports whether all of part is in whole.
func includes(whole, part map[string]string) bool {
	for k, v := range part {
		if had, ok := whole[k]; !ok || had != v {
			return false
		}
	}
	return true
}

// tagged reports whether tags has all that are wanted and none of those that are
// wanted with a "!" before them, whatever their case.
func tagged(tags, want []string) bool {
	for _, w := range want {
		w, unwanted := strings.CutPrefix(w, "!")
		if slices.ContainsFunc(tags, func(t string) bool { return strings.EqualFold(t, w) }) == unwanted {
			return false
		}
	}
	return true
}
