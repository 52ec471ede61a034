package query

import (
	"fmt"
	"time"

	"tribune/impl/api"
)

// refusal is why a query cannot be. The texts are Consul's; clients match on them.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// hidden is what is shown of a token to who may not see it; a query that was read
// that way and is written back would lose its token.
const hidden = "<hidden>"

// Check returns why a query makes no sense whatever the state.
func Check(q api.PreparedQuery) error {
	f := q.Service.Failover
	switch {
	case q.Name == "" && q.Template.Type == "" && q.Session == "":
		return refuse("Must be bound to a session")
	case q.Token == hidden:
		return refuse("Bad Token '%s', it looks like a query definition with a redacted token was submitted", q.Token)
	case q.Service.Service == "":
		return refuse("Must provide a Service name to query")
	case f.NearestN < 0:
		return refuse("Bad NearestN '%d', must be >= 0", f.NearestN)
	case len(f.Targets) > 0 && (f.NearestN > 0 || len(f.Datacenters) > 0):
		return refuse("Targets cannot be populated with NearestN or Datacenters")
	case q.DNS.TTL == "":
		return nil
	}
	ttl, err := time.ParseDuration(q.DNS.TTL)
	if err != nil {
		return refuse("Bad DNS TTL '%s': %v", q.DNS.TTL, err)
	}
	if ttl < 0 {
		return refuse("DNS TTL '%d', must be >=0", ttl)
	}
	return nil
}
