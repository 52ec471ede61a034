package check

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tribune/impl/api"
)

// Local is what this agent itself has.
type Local interface {
	// Changed returns a channel that closes at the next change of a service or a
	// check.
	Changed() <-chan struct{}
	// ChecksOf lists the checks of a service, sorted by ID, and tells whether the
	// service is there. Those of the service "" are the node's own.
	ChecksOf(serviceID string) (checks []api.HealthCheck, found bool)
}

// Catalog is what all agents have, as the servers know it.
type Catalog interface {
	NodeChecks(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error)
	NodeServices(context.Context, api.CatalogRequest) (api.NodeServicesResponse, error)
}

const (
	maxStaleness = 15 * time.Second
	maxQueryTime = time.Minute
	// answerTime is after how long a server is given up on.
	answerTime = maxQueryTime + 30*time.Second

	minRetry = time.Second
	maxRetry = time.Minute
)

// typeAlias is the type of a check that is an alias, as the API shows it.
const typeAlias = "alias"

// alias mirrors the checks of a service and its node, or of a node alone: it is
// critical if one of them is, else warning if one of them is, else passing. Aliases
// that are checks of a node are not mirrored.
type alias struct {
	config Config
	d      api.CheckDefinition
	told   finding
}

func (c Config) newAlias(d api.CheckDefinition) *alias { return &alias{config: c, d: d} }

func (a *alias) run(ctx context.Context) {
	if a.d.AliasNode == "" {
		a.followLocal(ctx)
	} else {
		a.followNode(ctx)
	}
}

func (a *alias) followLocal(ctx context.Context) {
	for {
		changed := a.config.Local.Changed() // before the look, so that nothing is missed
		own, found := a.config.Local.ChecksOf(a.d.AliasService)
		node, _ := a.config.Local.ChecksOf("")
		a.tell(a.mirror(slices.Concat(node, own), found))
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// followNode reads the checks of a node whenever they change.
func (a *alias) followNode(ctx context.Context) {
	r := api.CatalogRequest{Node: a.d.AliasNode, QueryOptions: api.QueryOptions{
		Token: a.d.Token, AllowStale: true, MaxStaleDuration: maxStaleness, MaxQueryTime: maxQueryTime,
	}}
	for retry := minRetry; ; {
		index, found, err := a.look(ctx, r)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			a.tell(found)
			r.MinQueryIndex = max(index, 1) // 0 would not wait
			retry = minRetry
			continue
		case retry > minRetry: // a single failure may be an election
			a.tell(finding{api.HealthCritical, fmt.Sprintf("Failure checking aliased node or service: %s", err)})
		}
		r.MinQueryIndex = 0 // the next answer is news also if nothing has changed
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return
		}
		retry = min(2*retry, maxRetry)
	}
}

// look reads the checks of the node, with the index to wait on.
func (a *alias) look(ctx context.Context, r api.CatalogRequest) (uint64, finding, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	checks, err := a.config.Catalog.NodeChecks(ctx, r)
	if err != nil {
		return 0, finding{}, err
	}
	found := slices.ContainsFunc(checks.Items, func(h api.HealthCheck) bool { return h.ServiceID == a.d.AliasService })
	return checks.Index, a.mirror(checks.Items, found || a.exists(ctx, r)), nil
}

// exists asks whether the node has the service, or for a node alone whether there
// is such a node. Where nobody can tell, it has.
func (a *alias) exists(ctx context.Context, r api.CatalogRequest) bool {
	r.MinQueryIndex = 0
	node, err := a.config.Catalog.NodeServices(ctx, r)
	if err != nil {
		return true
	}
	return node.Node != nil && (a.d.AliasService == "" ||
		slices.ContainsFunc(node.Services, func(s api.NodeService) bool { return s.ID == a.d.AliasService }))
}

// mirror sums up checks, of which some may be of other services.
func (a *alias) mirror(checks []api.HealthCheck, found bool) finding {
	if !found {
		return finding{api.HealthCritical, a.missing()}
	}
	sum := finding{api.HealthPassing, "No checks found."}
	for _, h := range checks {
		switch {
		case h.ServiceID != "" && h.ServiceID != a.d.AliasService:
		case h.Node == a.config.Node && h.CheckID == a.d.CheckID: // a mirror before itself would never change
		case h.ServiceID == "" && h.Type == typeAlias: // it may mirror this one, and both would stay as they are
		case h.Status == api.HealthCritical:
			return finding{h.Status, a.failing(h)}
		case sum.status == api.HealthWarning:
		case h.Status == api.HealthWarning:
			sum = finding{h.Status, a.failing(h)}
		default:
			sum.output = "All checks passing."
		}
	}
	return sum
}

// failing tells of a check that is mirrored. What an alias says is left out: of
// aliases in a circle each would have to tell again what the other tells of it.
func (a *alias) failing(h api.HealthCheck) string {
	if h.Type == typeAlias {
		return fmt.Sprintf("Aliased check %q failing", h.Name)
	}
	return fmt.Sprintf("Aliased check %q failing: %s", h.Name, cut(h.Output, a.config.outputMaxSize(a.d)))
}

func (a *alias) missing() string {
	switch {
	case a.d.AliasService == "":
		return fmt.Sprintf("Node %s could not be found", a.d.AliasNode)
	case a.d.AliasNode == "":
		return fmt.Sprintf("Service %s could not be found on node %s", a.d.AliasService, a.config.Node)
	default:
		return fmt.Sprintf("Service %s could not be found on node %s", a.d.AliasService, a.d.AliasNode)
	}
}

// tell tells the Sink what it does not know: telling it is a change that would be
// looked at again.
func (a *alias) tell(f finding) {
	if f != a.told {
		a.told = f
		a.config.tell(a.d.CheckID, f)
	}
}
